import { TransferProtocolError } from './codec/errors.js'
import { decodePath } from './paths.js'

/** Longest line: a name of 255 bytes, of up to four bytes in some encodings, with mode and size before it. */
export const maxLineBytes = 4096

/** What the sending side of the legacy scp protocol says between files. */
export type ScpRecord =
  | { readonly kind: 'file' | 'directory'; readonly mode: number; readonly size: number; readonly name: string }
  | { readonly kind: 'times'; readonly mtime: number }
  | { readonly kind: 'end' }
  /** `\x01` is a warning, `\x02` the end. */
  | { readonly kind: 'error' }

const entry = /^([CD])([0-7]{4}) (\d{1,16}) (.+)$/u
const times = /^T(\d{1,12}) (\d{1,6}) (\d{1,12}) (\d{1,6})$/

/**
 * Reads one line, its newline left out.
 * @throws {TransferProtocolError} on anything that OpenSSH's scp doesn't send; on a name that isn't the name of one file
 */
export function parseScpRecord(line: Buffer): ScpRecord {
  if (line[0] === 1 || line[0] === 2) return { kind: 'error' }
  const text = decodePath(line)
  if (text === undefined) throw new TransferProtocolError('an scp line is not clean text')
  if (text === 'E') return { kind: 'end' }
  const [, mtime] = times.exec(text) ?? []
  if (mtime !== undefined) return { kind: 'times', mtime: Number(mtime) }
  const [, letter, mode, size, name] = entry.exec(text) ?? []
  if (mode === undefined || size === undefined || name === undefined) throw new TransferProtocolError('invalid scp line')
  // CVE-2018-20685, CVE-2019-6111: a name that is a path leads out of the directory.
  if (name.includes('/') || name === '.' || name === '..') throw new TransferProtocolError('invalid scp file name')
  const bytes = Number(size)
  if (!Number.isSafeInteger(bytes)) throw new TransferProtocolError('invalid scp file size')
  return { kind: letter === 'C' ? 'file' : 'directory', mode: Number.parseInt(mode, 8), size: bytes, name }
}
