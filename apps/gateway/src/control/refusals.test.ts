import type { GatewayUp } from '@sallyport/proto'
import { expect, test } from 'vitest'
import { Refusals } from './refusals.js'

test('refusals are told, at most fifty in a second', () => {
  const sent: GatewayUp[] = []
  let now = 1000
  const refusals = new Refusals((message) => sent.push(message) > 0, () => now)
  for (let index = 0; index < 80; index += 1) refusals.tell({ protocol: 'kubernetes', clientAddress: '127.0.0.1', reason: `r${index}` })
  expect(sent).toHaveLength(50)
  now = 2000
  refusals.tell({ protocol: 'kubernetes', clientAddress: '127.0.0.1', reason: 'later' })
  expect(sent.at(-1)).toEqual({ connectionRefused: { protocol: 'kubernetes', clientAddress: '127.0.0.1', reason: 'later' } })
})
