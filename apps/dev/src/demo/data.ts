/** Made-up people and orders. The same seed gives the same rows, so that the tour and the tests can name them. */

export interface Customer {
  readonly id: number
  readonly name: string
  readonly email: string
  readonly phone: string
  readonly ssn: string
  readonly cardNumber: string
  readonly notes: string | null
}

export interface Order {
  readonly id: number
  readonly customerId: number
  readonly status: string
  readonly placedAt: string
  readonly totalCents: number
}

export interface OrderItem {
  readonly orderId: number
  readonly line: number
  readonly product: string
  readonly quantity: number
  readonly unitCents: number
}

export interface ApiKey {
  readonly id: number
  readonly owner: string
  readonly secret: string
  readonly createdAt: string
}

export interface DemoData {
  readonly customers: readonly Customer[]
  readonly orders: readonly Order[]
  readonly items: readonly OrderItem[]
  readonly apiKeys: readonly ApiKey[]
}

const firstNames = ['Amelia', 'Bashir', 'Chiara', 'Dmitri', 'Elena', 'Farid', 'Greta', 'Hiro', 'Ines', 'Jonas', 'Kavya', 'Liam', 'Mei', 'Noor', 'Oskar', 'Priya']
const lastNames = ['Almeida', 'Brandt', 'Castillo', 'Dubois', 'Eriksen', 'Fischer', 'Gupta', 'Haddad', 'Ito', 'Jansen', 'Kowalski', 'Lindqvist', 'Moreau', 'Novak']
const products = [
  ['Enamel mug', 1450], ['Wool blanket', 8900], ['Desk lamp', 5400], ['Cast-iron pan', 6200], ['Linen apron', 3300],
  ['Oak cutting board', 4800], ['Tea kettle', 5900], ['Notebook, dotted', 1200], ['Bicycle bell', 1900], ['Garden shears', 2700],
] as const
const statuses = ['new', 'paid', 'packed', 'shipped', 'delivered', 'returned']

export function makeDemoData(): DemoData {
  const random = mulberry32(20240229)
  const below = (limit: number): number => Math.floor(random() * limit)
  const pick = <T>(values: readonly [T, ...T[]] | readonly T[]): T => {
    const value = values[below(values.length)]
    if (value === undefined) throw new Error('nothing to pick from')
    return value
  }
  const digits = (count: number): string => Array.from({ length: count }, () => String(below(10))).join('')

  const customers = Array.from({ length: 120 }, (_, index): Customer => {
    const id = index + 1
    const first = pick(firstNames)
    const last = pick(lastNames)
    const email = `${first}.${last}${id}@example.${pick(['com', 'net', 'org'])}`.toLowerCase()
    return {
      id,
      name: `${first} ${last}`,
      email,
      phone: `+1 555 01${digits(2)} ${digits(4)}`,
      // 900–999 is never given out as an area number (SSA), so none of these can be somebody's.
      ssn: `9${digits(2)}-${String(below(99) + 1).padStart(2, '0')}-${String(below(9999) + 1).padStart(4, '0')}`,
      cardNumber: withCheckDigit(pick(['411111', '424242', '555555', '510510']) + digits(9)),
      notes: note(index, email, digits),
    }
  })

  const orders: Order[] = []
  const items: OrderItem[] = []
  const start = Date.UTC(2024, 0, 1)
  for (let id = 1; id <= 300; id += 1) {
    const lines = below(4) + 1
    let total = 0
    for (let line = 1; line <= lines; line += 1) {
      const [product, unitCents] = pick(products)
      const quantity = below(3) + 1
      total += quantity * unitCents
      items.push({ orderId: id, line, product, quantity, unitCents })
    }
    const placedAt = new Date(start + id * 7 * 3600_000 + below(3600) * 1000).toISOString()
    orders.push({ id, customerId: below(customers.length) + 1, status: pick(statuses), placedAt, totalCents: total })
  }

  const apiKeys = Array.from({ length: 12 }, (_, index): ApiKey => ({
    id: index + 1,
    owner: pick(['billing', 'warehouse', 'storefront', 'reports']),
    secret: `shop_live_${Array.from({ length: 32 }, () => below(36).toString(36)).join('')}`,
    createdAt: new Date(start + index * 86_400_000).toISOString(),
  }))
  return { customers, orders, items, apiKeys }
}

/** Free text in which people leave what they shouldn't: what content detectors are for. */
function note(index: number, email: string, digits: (count: number) => string): string | null {
  switch (index % 10) {
    case 1:
      return `Prefers to be written to at private.${email} after six.`
    case 3:
      return `Paid over the phone with ${withCheckDigit('411111' + digits(9))}, receipt sent.`
    case 5:
      return `Support pasted a session token: ${exampleJwt(digits)}`
    case 7:
      // Key ids are letters and the digits 2–7 (base32); this one was never issued.
      return `Export job uses AKIAEXAMPLEQQQQQ${[...digits(4)].map((digit) => 2 + (Number(digit) % 6)).join('')} for the bucket.`
    case 9:
      return 'Asked for gift wrapping.'
    default:
      return null
  }
}

function exampleJwt(digits: (count: number) => string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: digits(10), name: 'Example', iat: 1516239022 })}.${Buffer.from(digits(32)).toString('base64url')}`
}

/** Appends the Luhn check digit (ISO/IEC 7812-1, annex B). */
export function withCheckDigit(digits: string): string {
  let sum = 0
  for (const [index, character] of [...digits].reverse().entries()) {
    const doubled = Number(character) * (index % 2 === 0 ? 2 : 1)
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return digits + String((10 - (sum % 10)) % 10)
}

/** A small seeded generator; quality is of no matter here, sameness is. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
