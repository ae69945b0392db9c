import type { Vessel } from './vessels.js'

/** Where things stand: 400 by 400, on a line at 330. */
const MIDDLE = 200
const GROUND = 330

/** A product's picture: drawn from its outline, lit from the left, on nothing, so that it suits a light and a dark page. */
export function draw(vessel: Vessel): string {
  const side = 400 / (vessel.zoom ?? 1)
  const view = [MIDDLE - side / 2, GROUND + 46 - side, side, side].map(num).join(' ')
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${view}" width="800" height="800">` +
    `${LIGHT}${stand(vessel, 'v')}</svg>`
  )
}

/** Several of them on a shelf, each at its place and size. */
export function drawShelf(
  items: readonly { vessel: Vessel; x: number; scale: number }[],
  { width, height }: { width: number; height: number },
): string {
  const ground = height - 46
  const standing = items.map(
    ({ vessel, x, scale }, index) =>
      `<g transform="translate(${x - MIDDLE * scale} ${ground - GROUND * scale}) scale(${scale})">` +
      `${stand(vessel, `s${index}`)}</g>`,
  )
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">` +
    `${LIGHT}${standing.join('')}</svg>`
  )
}

const LIGHT =
  '<defs>' +
  '<linearGradient id="sheen"><stop offset="0" stop-color="#120d08" stop-opacity=".26"/>' +
  '<stop offset=".3" stop-color="#fff" stop-opacity=".2"/><stop offset=".52" stop-color="#fff" stop-opacity="0"/>' +
  '<stop offset="1" stop-color="#120d08" stop-opacity=".4"/></linearGradient>' +
  '<radialGradient id="ground"><stop offset="0" stop-color="#120d08" stop-opacity=".34"/>' +
  '<stop offset=".6" stop-color="#120d08" stop-opacity=".12"/><stop offset="1" stop-color="#120d08" stop-opacity="0"/></radialGradient>' +
  '<radialGradient id="glow"><stop offset="0" stop-color="#f3c36b" stop-opacity=".5"/>' +
  '<stop offset="1" stop-color="#f3c36b" stop-opacity="0"/></radialGradient>' +
  '</defs>'

function stand(vessel: Vessel, id: string): string {
  const paint = (svg = ''): string =>
    svg.replaceAll('{clay}', vessel.clay).replaceAll('{glaze}', vessel.glaze)
  const widest = vessel.instead ? 130 : Math.max(...vessel.outline.map(([, radius]) => radius))
  const shadow = `<ellipse cx="${MIDDLE + 14}" cy="${GROUND + 2}" rx="${widest * 1.3}" ry="${widest * 0.16}" fill="url(#ground)"/>`
  return shadow + (vessel.instead ?? paint(vessel.behind) + body(vessel, id) + paint(vessel.front))
}

function body(vessel: Vessel, id: string): string {
  const path = silhouette(vessel)
  const [height, radius] = vessel.outline[0] ?? [0, 0]
  const top = GROUND - height
  const depth = radius * (vessel.tilt ?? 0.18)
  const ellipse = (inset: number, fill: string): string =>
    `<ellipse cx="${MIDDLE}" cy="${top}" rx="${radius - inset}" ry="${Math.max(depth - inset * 0.6, 1)}" ${fill}/>`
  return (
    `<clipPath id="${id}"><path d="${path}"/></clipPath>` +
    `<path d="${path}" fill="${vessel.clay}"/>` +
    `<g clip-path="url(#${id})">` +
    `<path d="${glazed(GROUND - vessel.dip)}" fill="${vessel.glaze}"/>` +
    `${throwingLines(vessel)}${speckles(vessel)}</g>` +
    `<path d="${path}" fill="url(#sheen)"/>` +
    ellipse(0, `fill="${vessel.glaze}"`) +
    ellipse(0, 'fill="#fff" fill-opacity=".16"') +
    ellipse(3.5, `fill="${vessel.clay}"`) +
    ellipse(3.5, 'fill="#120d08" fill-opacity=".5"')
  )
}

/** One side down, across the foot, the other side up: a smooth line through all points. */
function silhouette({ outline }: Vessel): string {
  const right = outline.map(([h, r]) => [MIDDLE + r, GROUND - h] as const)
  const left = outline.map(([h, r]) => [MIDDLE - r, GROUND - h] as const).reverse()
  const foot = outline.at(-1)?.[1] ?? 0
  const start = right[0] ?? [0, 0]
  return (
    `M${at(start)}${smooth(right)}` +
    `A${foot} ${num(foot * 0.12)} 0 0 1 ${at(left[0] ?? [0, 0])}${smooth(left)}Z`
  )
}

type Point = readonly [x: number, y: number]

/** Catmull-Rom through the points, written as Bézier curves. */
function smooth(points: readonly Point[]): string {
  let path = ''
  for (let i = 0; i < points.length - 1; i += 1) {
    const p1 = points[i]!
    const p2 = points[i + 1]!
    const p0 = points[i - 1] ?? p1
    const p3 = points[i + 2] ?? p2
    const c1: Point = [p1[0] + (p2[0] - p0[0]) / 6, p1[1] + (p2[1] - p0[1]) / 6]
    const c2: Point = [p2[0] - (p3[0] - p1[0]) / 6, p2[1] - (p3[1] - p1[1]) / 6]
    path += `C${at(c1)} ${at(c2)} ${at(p2)}`
  }
  return path
}

/** Everything above the line where the pot was dipped, which is never quite straight. */
function glazed(edge: number): string {
  return `M0 0H400V${edge}C340 ${edge + 9} 300 ${edge - 6} 240 ${edge + 3}S120 ${edge + 8} 0 ${edge - 2}Z`
}

function throwingLines({ outline }: Vessel): string {
  const top = outline[0]?.[0] ?? 0
  let lines = ''
  for (let h = top - 18; h > 8; h -= 13) {
    lines += `<path d="M40 ${GROUND - h}Q200 ${GROUND - h + 16} 360 ${GROUND - h}" fill="none" stroke="#120d08" stroke-opacity=".045" stroke-width="2"/>`
  }
  return lines
}

function speckles({ outline, dip, speckles = 0 }: Vessel): string {
  const top = outline[0]?.[0] ?? 0
  const next = random(top * 31 + speckles)
  let dots = ''
  for (let i = 0; i < speckles; i += 1) {
    const x = num(70 + next() * 260)
    const y = num(GROUND - dip - next() * (top - dip))
    dots += `<circle cx="${x}" cy="${y}" r="${num(0.5 + next() * 1.3)}" fill="#4a382a" fill-opacity=".55"/>`
  }
  return dots
}

/** A small generator with a seed (mulberry32): the same pot has the same freckles at every start. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

function at([x, y]: Point): string {
  return `${num(x)} ${num(y)}`
}

function num(value: number): number {
  return Math.round(value * 10) / 10
}
