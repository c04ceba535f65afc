import { backend } from '../codec/index.js'

/** What answers each step of one of the engine's own queries. */
export const hiddenAnswers = {
  parse: backend.parseComplete,
  bind: backend.bindComplete,
  execute: backend.commandComplete,
  close: backend.closeComplete,
  sync: backend.readyForQuery,
} as const

/** The single text column of its row. */
export function hiddenCell(buffer: Buffer, start: number): string {
  const length = buffer.readInt32BE(start + 7)
  return length < 0 ? '' : buffer.toString('utf8', start + 11, start + 11 + length)
}
