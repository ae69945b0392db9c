/** A setting that has to be mended by the person who starts the shop: shown without a stack. */
export function configError(message: string): Error {
  return Object.assign(new Error(message), { name: 'ConfigError' })
}
