import { expect, test } from 'vitest'
import type { Connection } from 'ssh2'
import { refuseOpen } from './open-failure.js'

/** ssh2's side of it: what reject() calls. */
class Protocol {
  readonly sent: unknown[][] = []
  channelOpenFail(...args: unknown[]): void {
    this.sent.push(args)
  }
}

function refused(text: string): unknown[][] {
  const protocol = new Protocol()
  const connection = { _protocol: protocol } as unknown as Connection
  refuseOpen(connection, () => protocol.channelOpenFail(7, 2, ''), text)
  // Only for that one answer.
  protocol.channelOpenFail(8, 2, '')
  return protocol.sent
}

test('the reason is in the answer: one line of ASCII, bounded, and prohibited where it was us', () => {
  expect(refused('Sallyport: no rule\r\nallows “it”')).toEqual([[7, 1, 'Sallyport: no rule allows ?it?'], [8, 2, '']])
  expect(refused('the target could not open the connection')[0]).toEqual([7, 2, 'the target could not open the connection'])
  expect(String(refused(`Sallyport: ${'x'.repeat(5000)}`)[0]?.[2])).toHaveLength(700)
  expect(refused('Sallyport: \u001b]0;x\u0007')[0]?.[2]).toBe('Sallyport: ?]0;x?')
})

test('an ssh2 that has changed refuses all the same', () => {
  let rejected = 0
  refuseOpen({} as unknown as Connection, () => (rejected += 1), 'x')
  refuseOpen(undefined, () => (rejected += 1), 'x')
  expect(rejected).toBe(2)
})
