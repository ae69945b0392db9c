import type { StoreRig } from '../stores/rig.js'
import { sharedRigs } from '../stores-under-test.js'
import { inParallel, type World } from '../worlds.js'

/** Engines with a change feed that processes can share, each once. */
export const feedRigs: readonly StoreRig[] = sharedRigs.filter(
  ({ hasFeed, isNear }) => hasFeed === true && isNear !== true,
)

/** Those that are behind a network. */
export const networkRigs: readonly StoreRig[] = feedRigs.filter(({ name }) => name !== 'sqlite')

export type Browser = ReturnType<World['browser']>

/** Sessions that process `index` has in its near cache, which is warm. */
export async function cachedSessions(
  world: World,
  count: number,
  index: number,
): Promise<Browser[]> {
  const browsers = await inParallel(count, 10, async () => {
    const browser = world.browser()
    await browser.at(0).post('/increment')
    return browser
  })
  // Whether it is on: the first reads may come before the feed has proven itself.
  for (let round = 0; round < 3; round += 1) {
    await inParallel(count, 10, (one) => counted(browsers[one] as Browser, index))
  }
  return browsers
}

/** What process `index` says the session has counted to; `undefined` where it answers nothing. */
export async function counted(browser: Browser, index: number): Promise<number | undefined> {
  const answer = await browser.at(index).get('/data')
  return answer.status === 200 ? (answer.json() as { n?: number }).n : undefined
}
