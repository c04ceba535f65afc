import { z } from 'zod'

/** Query of a list that is read from memory: extend it with the list's filters. */
export const pageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().min(1).max(700).optional(),
})

export interface PageQuery {
  readonly limit: number
  readonly cursor?: string | undefined
}

/**
 * One page of things that are all at hand, in the order of their keys. The cursor says the last key that was seen, so that
 * what comes and goes meanwhile shifts no page: nothing is told twice, and what stays is told.
 * @param keyOf unique; `descending` for newest first with a key that begins with the time
 */
export function pageFrom<Item>(items: readonly Item[], keyOf: (item: Item) => string, { limit, cursor }: PageQuery, order: 'ascending' | 'descending' = 'ascending'): { items: Item[]; next?: string } {
  const sign = order === 'ascending' ? 1 : -1
  const compare = (a: string, b: string): number => (a === b ? 0 : a < b ? -sign : sign)
  const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString('utf8')
  const keyed = items.map((item) => ({ item, key: keyOf(item) })).sort((a, b) => compare(a.key, b.key))
  const rest = after === undefined ? keyed : keyed.filter(({ key }) => compare(key, after) > 0)
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  return { items: page.map(({ item }) => item), ...(rest.length > page.length && last ? { next: Buffer.from(last.key).toString('base64url') } : {}) }
}
