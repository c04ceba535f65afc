import { describe, expect, it } from 'vitest'
import { pageFrom } from './paging.js'

const names = ['e', 'b', 'd', 'a', 'c']
const read = (items: readonly string[], limit: number, order?: 'descending'): string[] => {
  const found: string[] = []
  let cursor: string | undefined
  do {
    const page = pageFrom(items, (name) => name, { limit, cursor }, order)
    found.push(...page.items)
    cursor = page.next
  } while (cursor !== undefined)
  return found
}

describe('pages of what is at hand', () => {
  it('tell everything once, in order, whatever the size', () => {
    for (const limit of [1, 2, 4, 5, 6]) expect(read(names, limit)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(read(names, 2, 'descending')).toEqual(['e', 'd', 'c', 'b', 'a'])
    expect(pageFrom(names, (name) => name, { limit: 5 })).not.toHaveProperty('next')
    expect(pageFrom([], () => '', { limit: 5 })).toEqual({ items: [] })
  })
  it('neither repeat nor miss what stays, when others come and go between two pages', () => {
    const { next } = pageFrom(names, (name) => name, { limit: 2 })
    expect(pageFrom(['e', 'a', 'c', 'aa', 'bb'], (name) => name, { limit: 9, cursor: next }).items).toEqual(['bb', 'c', 'e'])
  })
})
