import fs from 'node:fs'
import path from 'node:path'
import { chainOf, headOf, type SessionHead } from '@sallyport/audit-log'
import { z } from 'zod'
import { scanRecord } from './record-file.js'

export class SpoolCorruptError extends Error {
  override readonly name = 'SpoolCorruptError'
}

export interface Segment {
  readonly file: string
  readonly firstSeq: number
  /** Number of the last whole record; firstSeq - 1 while empty. */
  lastSeq: number
  bytes: number
}

/** What a crash left unfinished, as far as the spool still holds it. */
export interface Unfinished {
  readonly session: string
  readonly commands: readonly number[]
  readonly started: number
}

export interface Recovered {
  readonly segments: Segment[]
  readonly unfinished: readonly Unfinished[]
  /** How far the chains of sessions had got: those that are open, and ends that nobody has signed. */
  readonly heads: readonly SessionHead[]
}

interface Heads {
  readonly heads: Map<string, SessionHead>
  /** Some records may stand behind a session's end. */
  readonly ended: Set<string>
}

export function segmentName(firstSeq: number): string {
  return `${String(firstSeq).padStart(16, '0')}.spool`
}

const recordShape = z.object({
  seq: z.number().int(),
  kind: z.string(),
  session: z.string().optional(),
  command: z.number().int().optional(),
  heads: z.array(z.looseObject({ session: z.string() })).optional(),
})

/**
 * Reads every segment of a spool directory. A torn record at the very end (the machine lost power in mid-write) is cut
 * off; damage anywhere else is an error that names file and offset, because what follows can't be trusted to be whole.
 */
export function recover(directory: string): Recovered {
  const names = fs.readdirSync(directory).filter((name) => name.endsWith('.spool')).sort()
  const segments: Segment[] = []
  const open = new Map<string, { commands: Set<number>; started: number }>()
  const heads: Heads = { heads: new Map(), ended: new Set() }
  for (const [index, name] of names.entries()) {
    const file = path.join(directory, name)
    const firstSeq = Number.parseInt(name, 10)
    const previous = segments.at(-1)
    if (!Number.isSafeInteger(firstSeq) || firstSeq < 1) throw new SpoolCorruptError(`${file}: not a spool segment's name`)
    if (previous && previous.lastSeq + 1 !== firstSeq) {
      throw new SpoolCorruptError(`${file}: starts at record ${firstSeq}, but the segment before it ends at ${previous.lastSeq}`)
    }
    segments.push(readSegment(file, firstSeq, index === names.length - 1, open, heads))
  }
  const unfinished = [...open].map(([session, state]) => ({ session, commands: [...state.commands], started: state.started }))
  return { segments, unfinished, heads: [...heads.heads.values()] }
}

function readSegment(file: string, firstSeq: number, last: boolean, open: Map<string, { commands: Set<number>; started: number }>, heads: Heads): Segment {
  const bytes = fs.readFileSync(file)
  let offset = 0
  let seq = firstSeq - 1
  while (offset < bytes.length) {
    const scanned = scanRecord(bytes, offset)
    if (scanned.kind !== 'record') {
      // Only the tail of the last segment can be torn; a checksum failure with whole records behind it is damage.
      if (!last || (scanned.kind === 'corrupt' && hasRecordAfter(bytes, offset))) {
        throw new SpoolCorruptError(`${file}: damaged record at byte ${offset} (after record ${seq}). Keep the file for inspection, and move it away to start with a new spool.`)
      }
      fs.truncateSync(file, offset)
      break
    }
    const record = recordShape.safeParse(parseJson(scanned.payload))
    seq += 1
    if (!record.success || record.data.seq !== seq) throw new SpoolCorruptError(`${file}: record at byte ${offset} is not number ${seq}`)
    track(open, record.data)
    follow(heads, record.data, scanned.payload)
    offset = scanned.next
  }
  return { file, firstSeq, lastSeq: seq, bytes: offset }
}

/** A session's chain goes on, after a restart, from the last record that is there. */
function follow({ heads, ended }: Heads, { kind, session, heads: signed }: z.infer<typeof recordShape>, payload: Buffer): void {
  // Of open ones it is signed again when they move.
  if (kind === 'session.signed') for (const head of signed ?? []) if (heads.get(head.session)?.closed === true) heads.delete(head.session)
  if (session === undefined) return
  if (kind === 'session.end') ended.add(session)
  const link = chainOf(payload.toString('utf8', 0, 256))
  if (link !== undefined) heads.set(session, { session, records: link.n, head: headOf(payload), closed: ended.has(session) })
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch {
    return undefined
  }
}

function hasRecordAfter(bytes: Buffer, offset: number): boolean {
  if (bytes.length - offset < 8) return false
  const next = offset + 8 + bytes.readUInt32BE(offset)
  return next < bytes.length && scanRecord(bytes, next).kind === 'record'
}

function track(open: Map<string, { commands: Set<number>; started: number }>, record: z.infer<typeof recordShape>): void {
  if (record.session === undefined) return
  if (record.kind === 'session.end') {
    open.delete(record.session)
    return
  }
  const state = open.get(record.session) ?? { commands: new Set<number>(), started: 0 }
  open.set(record.session, state)
  if (record.command === undefined) return
  if (record.kind === 'command') {
    state.commands.add(record.command)
    state.started = Math.max(state.started, record.command)
  }
  if (record.kind === 'command.end') state.commands.delete(record.command)
}
