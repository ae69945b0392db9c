export declare const root: string
export declare function entries(): { readonly name: string; readonly module: string }[]
