export interface Fence {
  readonly page: string
  /** The line on which it opens. */
  readonly line: number
  /** All that stands behind the opening marks, such as `js run`. */
  readonly info: string
  readonly language: string
  readonly text: string
}

/** The fenced blocks of a page. */
export function fencesOf(page: string, markdown: string): Fence[] {
  return [...markdown.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm)].map((match) => {
    const [, info = '', text = ''] = match
    const line = markdown.slice(0, match.index).split('\n').length
    return { page, line, info, language: info.split(' ', 1)[0] ?? '', text }
  })
}

/** The texts of the headings, without their marks. */
export function headingsOf(markdown: string): string[] {
  return [...withoutFences(markdown).matchAll(/^#+ (.*)$/gm)].map(([, text]) => text ?? '')
}

/** Where links lead, as they are written. */
export function linksOf(markdown: string): string[] {
  return [...withoutFences(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link ?? '')
}

/** The anchor that GitHub gives to a heading. */
export function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

function withoutFences(markdown: string): string {
  return markdown.replaceAll(/^```[^\n]*\n[\s\S]*?^```$/gm, '')
}
