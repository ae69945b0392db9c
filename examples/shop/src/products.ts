import { type Vessel, vessels } from './vessels.js'

export interface Product {
  readonly slug: string
  readonly name: string
  /** In cents. Prices are looked up here and never taken from a form. */
  readonly price: number
  readonly line: string
  readonly story: string
  readonly size: string
  /** How many there were in the kiln. What is left of them is in the database. */
  readonly fired: number
  readonly vessel: Vessel
}

export const products: readonly Product[] = [
  {
    slug: 'morning-cup',
    name: 'Morning cup',
    price: 2400,
    line: 'Holds the first coffee and both hands.',
    story:
      'Thrown a little thicker than it needs to be, so that it keeps its warmth while you read. The foot is left bare: you can feel where the glaze stopped.',
    size: '8 cm high, 280 ml',
    fired: 240,
    vessel: vessels.cup,
  },
  {
    slug: 'moon-jar',
    name: 'Moon jar',
    price: 14_800,
    line: 'Two bowls joined at the waist, not quite round.',
    story:
      'Made the old way, from two halves. The seam shows as a shadow if the light comes from the side, and that is the point of it.',
    size: '31 cm high',
    fired: 24,
    vessel: vessels.moonJar,
  },
  {
    slug: 'breakfast-bowl',
    name: 'Breakfast bowl',
    price: 3200,
    line: 'Wide enough for fruit, deep enough for porridge.',
    story:
      'The rim leans out by a few degrees: it stops a spoon, and it stacks. Six of them take up the room of two.',
    size: '15 cm across, 600 ml',
    fired: 120,
    vessel: vessels.bowl,
  },
  {
    slug: 'single-stem',
    name: 'Single stem',
    price: 4600,
    line: 'For the one branch you brought home.',
    story:
      'A narrow neck that holds a twig upright without wire or foam. Heavy in the base, so that a window left open does not matter.',
    size: '19 cm high',
    fired: 60,
    vessel: vessels.stem,
  },
  {
    slug: 'tea-for-two',
    name: 'Tea for two',
    price: 9800,
    line: 'A pot that pours without a drip.',
    story:
      'The spout is cut sharp under its lip, which is all the secret there is. The lid stays on until the last drop.',
    size: '14 cm high, 750 ml',
    fired: 36,
    vessel: vessels.teapot,
  },
  {
    slug: 'desk-mug',
    name: 'Desk mug',
    price: 2800,
    line: 'Straight sides, steady foot, room for three fingers.',
    story:
      'The handle is pulled, not pressed, and thickest where your thumb rests. It survives a dishwasher and most deadlines.',
    size: '9 cm high, 340 ml',
    fired: 240,
    vessel: vessels.mug,
  },
  {
    slug: 'reed-vase',
    name: 'Reed vase',
    price: 7600,
    line: 'Tall and plain; the grasses do the talking.',
    story:
      'Iron in the clay comes through the glaze as small dark freckles. No two firings scatter them alike.',
    size: '28 cm high',
    fired: 24,
    vessel: vessels.reeds,
  },
  {
    slug: 'milk-jug',
    name: 'Milk jug',
    price: 3600,
    line: 'A small jug with a good beak.',
    story: 'Enough milk for four cups, or gravy for six plates, or daisies for a week.',
    size: '11 cm high, 400 ml',
    fired: 80,
    vessel: vessels.jug,
  },
  {
    slug: 'supper-plates',
    name: 'Supper plates',
    price: 11_200,
    line: 'Four plates, each a shade apart.',
    story:
      'Dipped one after another as the bucket emptied, so each came out lighter than the last. Sold as they were fired: together.',
    size: '26 cm across, set of four',
    fired: 18,
    vessel: vessels.plates,
  },
  {
    slug: 'salt-pot',
    name: 'Salt pot',
    price: 4200,
    line: 'A lid you can lift with floury fingers.',
    story:
      'Unglazed inside, so that the clay drinks the damp and the salt stays loose. Lives beside the stove.',
    size: '10 cm high',
    fired: 120,
    vessel: vessels.saltPot,
  },
  {
    slug: 'windowsill-pot',
    name: 'Windowsill pot',
    price: 3900,
    line: 'Raw terracotta that breathes.',
    story:
      'With a hole beneath and a saucer to match. It goes pale when the soil is dry: the pot tells you when to water.',
    size: '13 cm high',
    fired: 90,
    vessel: vessels.planter,
  },
  {
    slug: 'evening-light',
    name: 'Evening light',
    price: 5400,
    line: 'A candle stand for one end of the table.',
    story:
      'The dish catches the wax; the black slip makes a small flame look larger. Comes with one candle.',
    size: '9 cm high',
    fired: 3,
    vessel: vessels.candle,
  },
]

const bySlug = new Map(products.map((product) => [product.slug, product]))

export function findProduct(slug: string): Product | undefined {
  return bySlug.get(slug)
}

const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' })

export function price(cents: number): string {
  return euros.format(cents / 100)
}
