export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next?: string
}

/**
 * All items of a list, page by page, fetched as they are asked for:
 * `for await (const session of each((cursor) => ok(api.GET('/v1/sessions', { params: { query: given({ cursor }) } }))))`.
 */
export async function* each<Item>(page: (cursor: string | undefined) => Promise<Page<Item>>): AsyncGenerator<Item, void> {
  let cursor: string | undefined
  do {
    const { items, next } = await page(cursor)
    yield* items
    // A server that answers with the cursor it was given would be asked for ever.
    cursor = next === cursor ? undefined : next
  } while (cursor !== undefined)
}

/** The first items of a list, no more than `limit`; no page is fetched that isn't needed. */
export async function take<Item>(items: AsyncIterable<Item>, limit: number): Promise<Item[]> {
  const taken: Item[] = []
  if (limit < 1) return taken
  for await (const item of items) {
    taken.push(item)
    if (taken.length >= limit) break
  }
  return taken
}
