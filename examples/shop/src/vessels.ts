/** The shapes of the shop, as a potter would sketch them: half an outline, two colours, and what is stuck on. */
export interface Vessel {
  /** From rim to foot: height above the ground, radius. The drawing is 400 wide and high; the ground is at 0. */
  readonly outline: readonly (readonly [height: number, radius: number])[]
  readonly clay: string
  readonly glaze: string
  /** The glaze runs down to this height. */
  readonly dip: number
  readonly speckles?: number
  /** How much larger than life its own picture shows it; on the shelf all have the size they have. */
  readonly zoom?: number
  /** How open the mouth looks: the short radius of the rim as a share of the long one. */
  readonly tilt?: number
  /** SVG behind and in front of the body: handles, stems, a lid. `{clay}` and `{glaze}` are filled in. */
  readonly behind?: string
  readonly front?: string
  /** A drawing that is no body of revolution replaces the outline's. */
  readonly instead?: string
}

const leaf = (x: number, y: number, angle: number, length: number, fill: string): string =>
  `<path transform="translate(${x} ${y}) rotate(${angle})" fill="${fill}" ` +
  `d="M0 0C${length * 0.25} ${-length * 0.22} ${length * 0.75} ${-length * 0.2} ${length} 0C${length * 0.75} ${length * 0.16} ${length * 0.25} ${length * 0.18} 0 0Z"/>`

const stalk = (d: string, colour: string, width = 3): string =>
  `<path d="${d}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-linecap="round"/>`

const reed = (d: string, x: number, y: number, angle: number, colour: string): string =>
  stalk(d, colour, 2.2) +
  `<ellipse cx="${x}" cy="${y}" rx="6" ry="25" transform="rotate(${angle} ${x} ${y})" fill="${colour}"/>`

const handle = (d: string, width = 17): string =>
  `<path d="${d}" fill="none" stroke="{clay}" stroke-width="${width}" stroke-linecap="round"/>` +
  `<path d="${d}" fill="none" stroke="{glaze}" stroke-width="${width - 3}" stroke-linecap="round"/>` +
  `<path d="${d}" fill="none" stroke="#fff" stroke-opacity=".14" stroke-width="${width / 3.4}" stroke-linecap="round"/>`

const plate = (y: number, colour: string): string =>
  `<ellipse cx="200" cy="${y + 9}" rx="136" ry="31" fill="#1d1812" fill-opacity=".22"/>` +
  `<ellipse cx="200" cy="${y}" rx="136" ry="31" fill="${colour}"/>` +
  `<ellipse cx="200" cy="${y}" rx="136" ry="31" fill="url(#sheen)"/>`

export const vessels = {
  cup: {
    zoom: 1.35,
    outline: [
      [150, 74],
      [110, 72],
      [60, 66],
      [22, 52],
      [12, 44],
      [0, 43],
    ],
    clay: '#b98a63',
    glaze: '#e6dfd0',
    dip: 46,
    speckles: 60,
  },
  moonJar: {
    outline: [
      [262, 55],
      [254, 53],
      [246, 58],
      [234, 78],
      [214, 102],
      [182, 122],
      [136, 130],
      [84, 119],
      [40, 91],
      [12, 65],
      [0, 59],
    ],
    clay: '#cdbfa9',
    glaze: '#efe9dd',
    dip: 16,
    tilt: 0.16,
  },
  bowl: {
    zoom: 1.12,
    outline: [
      [118, 132],
      [84, 118],
      [44, 84],
      [22, 52],
      [12, 46],
      [0, 46],
    ],
    clay: '#a9744f',
    glaze: '#7f9c93',
    dip: 36,
    tilt: 0.2,
    speckles: 40,
  },
  stem: {
    zoom: 0.98,
    outline: [
      [178, 20],
      [164, 16],
      [140, 20],
      [104, 66],
      [60, 80],
      [20, 62],
      [0, 54],
    ],
    clay: '#8b6a53',
    glaze: '#3e5560',
    dip: 28,
    behind:
      stalk('M200 186C204 128 214 92 236 34', '#77634b', 3.4) +
      stalk('M208 124C196 104 182 94 170 74', '#77634b', 2.6) +
      leaf(170, 74, -118, 38, '#8a9a6b') +
      leaf(186, 96, -170, 34, '#73855a') +
      leaf(222, 72, -16, 42, '#8a9a6b') +
      leaf(216, 92, -140, 30, '#73855a') +
      leaf(236, 34, -66, 40, '#97a777'),
  },
  teapot: {
    zoom: 1.06,
    outline: [
      [150, 50],
      [138, 66],
      [100, 98],
      [56, 98],
      [18, 70],
      [0, 58],
    ],
    clay: '#6d5a4c',
    glaze: '#4f6b5f',
    dip: 20,
    behind:
      handle('M292 210C356 200 362 292 286 296', 16) +
      '<path d="M122 306C84 290 84 232 50 206L64 196C98 210 112 232 132 246Z" fill="{glaze}"/>' +
      '<ellipse cx="57" cy="201" rx="9" ry="5.5" transform="rotate(-35 57 201)" fill="#1d1812" fill-opacity=".5"/>',
    front:
      '<ellipse cx="200" cy="190" rx="56" ry="11" fill="{clay}"/>' +
      '<path d="M145 188C150 160 250 160 255 188C240 196 160 196 145 188Z" fill="{glaze}"/>' +
      '<path d="M145 188C150 160 250 160 255 188C240 196 160 196 145 188Z" fill="url(#sheen)"/>' +
      '<circle cx="200" cy="157" r="12" fill="{clay}"/><circle cx="196" cy="153" r="4" fill="#fff" fill-opacity=".25"/>',
  },
  mug: {
    zoom: 1.28,
    outline: [
      [158, 68],
      [120, 69],
      [60, 70],
      [14, 67],
      [0, 60],
    ],
    clay: '#c9a27c',
    glaze: '#b8604a',
    dip: 56,
    behind: handle('M262 212C326 200 330 296 264 292'),
  },
  reeds: {
    zoom: 0.96,
    outline: [
      [216, 42],
      [204, 38],
      [170, 42],
      [110, 60],
      [56, 66],
      [14, 54],
      [0, 50],
    ],
    clay: '#9b7f67',
    glaze: '#d9c8a8',
    dip: 14,
    speckles: 120,
    behind:
      reed('M196 150C188 100 170 70 150 44', 143, 34, -32, '#a58a5e') +
      reed('M200 150C200 90 204 60 206 36', 207, 24, 3, '#b89a6a') +
      reed('M206 150C216 110 236 80 256 62', 264, 52, 44, '#97804f') +
      stalk('M198 150C180 118 156 102 128 96', '#8a9a6b', 2.2) +
      leaf(128, 96, -172, 46, '#8a9a6b') +
      leaf(160, 106, -128, 34, '#73855a'),
  },
  jug: {
    zoom: 1.18,
    outline: [
      [182, 46],
      [164, 42],
      [130, 50],
      [80, 76],
      [36, 74],
      [8, 56],
      [0, 52],
    ],
    clay: '#b58d68',
    glaze: '#dcd5c4',
    dip: 70,
    behind:
      handle('M240 172C316 152 318 262 268 268', 15) +
      '<path d="M160 152C142 146 128 138 118 136C132 158 144 172 160 178Z" fill="{glaze}"/>',
  },
  plates: {
    zoom: 1.08,
    outline: [[0, 0]],
    clay: '#8d6b52',
    glaze: '#56707d',
    dip: 0,
    instead:
      plate(306, '#47616f') +
      plate(284, '#66808b') +
      plate(262, '#90a5a9') +
      plate(240, '#c3cdc8') +
      '<ellipse cx="200" cy="240" rx="92" ry="19" fill="#1d1812" fill-opacity=".08"/>' +
      '<ellipse cx="200" cy="242" rx="90" ry="17.5" fill="#ccd5cf"/>',
  },
  saltPot: {
    zoom: 1.24,
    outline: [
      [116, 72],
      [92, 78],
      [48, 80],
      [14, 70],
      [0, 62],
    ],
    clay: '#a8805f',
    glaze: '#c8a24e',
    dip: 44,
    front:
      '<ellipse cx="200" cy="222" rx="77" ry="13" fill="{clay}"/>' +
      '<path d="M123 220C128 190 272 190 277 220C250 234 150 234 123 220Z" fill="{glaze}"/>' +
      '<path d="M123 220C128 190 272 190 277 220C250 234 150 234 123 220Z" fill="url(#sheen)"/>' +
      '<ellipse cx="200" cy="199" rx="15" ry="4" fill="#120d08" fill-opacity=".25"/>' +
      '<circle cx="200" cy="186" r="16" fill="{clay}"/><circle cx="195" cy="180" r="5" fill="#fff" fill-opacity=".25"/>',
  },
  planter: {
    zoom: 0.98,
    outline: [
      [128, 88],
      [106, 88],
      [104, 80],
      [54, 70],
      [16, 60],
      [14, 84],
      [0, 78],
    ],
    clay: '#b86f4e',
    glaze: '#c47c59',
    dip: 104,
    tilt: 0.14,
    behind:
      stalk('M196 216C190 160 170 120 150 92', '#62754f', 3) +
      stalk('M200 216C200 150 206 110 214 66', '#62754f', 3) +
      stalk('M204 216C212 170 236 140 262 124', '#62754f', 3) +
      leaf(150, 92, -124, 60, '#7f9468') +
      leaf(166, 120, 176, 58, '#6c8158') +
      leaf(178, 146, -50, 44, '#93a67a') +
      leaf(214, 66, -78, 58, '#93a67a') +
      leaf(207, 104, -24, 60, '#7f9468') +
      leaf(204, 132, -150, 48, '#6c8158') +
      leaf(262, 124, -26, 58, '#7f9468') +
      leaf(236, 142, 30, 46, '#6c8158') +
      leaf(190, 176, -166, 56, '#7f9468') +
      leaf(212, 182, 4, 52, '#93a67a'),
  },
  candle: {
    outline: [
      [76, 26],
      [58, 22],
      [40, 26],
      [26, 96],
      [18, 100],
      [0, 70],
    ],
    clay: '#5a4e46',
    glaze: '#38342f',
    dip: 12,
    behind:
      '<circle cx="200" cy="118" r="86" fill="url(#glow)"/>' +
      '<path d="M186 258V156C186 150 214 150 214 156V258Z" fill="#ece2cc"/>' +
      '<path d="M186 258V156C186 150 214 150 214 156V258Z" fill="url(#sheen)"/>' +
      '<path d="M200 154V142" stroke="#4a3f33" stroke-width="2.4" stroke-linecap="round"/>' +
      '<path d="M200 98C212 116 213 130 207 138C203 143 197 143 193 138C187 130 190 116 200 98Z" fill="#e9a94b"/>' +
      '<path d="M200 116C206 126 206 134 203 138C201 140 199 140 197 138C194 134 195 126 200 116Z" fill="#f8e3b0"/>',
  },
} satisfies Record<string, Vessel>
