import { PassThrough } from 'node:stream'
import { terminalReset } from '@sallyport/kit'
import { expect, test } from 'vitest'
import { play } from './player.js'

async function played(chunks: readonly [number, string | Buffer][], more: { speed?: number; signal?: AbortSignal } = {}): Promise<{ shown: string; waits: number[] }> {
  const out = new PassThrough()
  const parts: Buffer[] = []
  out.on('data', (bytes: Buffer) => parts.push(bytes))
  const waits: number[] = []
  await play(chunks.map(([at, data]) => ({ at, bytes: Buffer.from(data) })), {
    speed: 1,
    idleMilliseconds: 2000,
    out,
    wait: async (milliseconds) => void waits.push(milliseconds),
    ...more,
  })
  await new Promise((resolve) => setImmediate(resolve))
  return { shown: Buffer.concat(parts).toString(), waits }
}

test('in real time, at another speed, idle gaps cut', async () => {
  const chunks: [number, string][] = [[100, 'a'], [600, 'b'], [60_000, 'c'], [60_000.2, 'd']]
  expect(await played(chunks)).toEqual({ shown: `abcd${terminalReset}\n`, waits: [500, 2000] })
  expect((await played(chunks, { speed: 4 })).waits).toEqual([125, 500])
  expect((await played(chunks, { speed: Number.POSITIVE_INFINITY })).waits).toEqual([])
})

test('S9 nothing that was recorded acts on the viewer, also when it is split between chunks', async () => {
  const { shown } = await played([[0, 'a\u001b]52;c;'], [0, 'cm0=\u0007b\u001b['], [0, '6n\u001b[3'], [0, '1mc'], [0, Buffer.from([0xc2])], [0, Buffer.from([0x9b, 0x63])], [0, 'd']])
  expect(shown).toBe(`ab\u001b[31mcd${terminalReset}\n`)
})

test('the terminal is put in order when the viewer has seen enough', async () => {
  const { shown } = await played([[0, '\u001b[?1049ha'], [1, 'b']], { signal: AbortSignal.abort() })
  expect(shown).toBe(`${terminalReset}\n`)
})
