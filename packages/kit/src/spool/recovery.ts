import fs from 'node:fs'
import path from 'node:path'
import { chainOf, headOf, type SessionHead } from '@sallyport/audit-log'
import { z } from 'zod'
import { splitRecord } from '../recording/payload.js'
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
  /** Its end is on record; only commands are open. */
  readonly ended: boolean
  /** Its commands went on when they couldn't be recorded: what ran last may be missing. */
  readonly bestEffort: boolean
}

export interface Recovered {
  readonly segments: Segment[]
  readonly unfinished: readonly Unfinished[]
  /** How far the chains of sessions had got, as far as the spool still holds them. */
  readonly heads: readonly RecoveredHead[]
  /** When the record that was asked for was written; undefined when it isn't there. */
  readonly time: string | undefined
}

export interface RecoveredHead extends SessionHead {
  readonly signed: boolean
}

interface Tracked {
  readonly commands: Set<number>
  started: number
  ended: boolean
  bestEffort: boolean
}

export function segmentName(firstSeq: number): string {
  return `${String(firstSeq).padStart(16, '0')}.spool`
}

const recordShape = z.object({
  seq: z.number().int(),
  time: z.string().optional(),
  kind: z.string(),
  session: z.string().optional(),
  command: z.number().int().optional(),
  audit: z.string().optional(),
  heads: z.array(z.looseObject({ session: z.string(), records: z.number() })).optional(),
})

/**
 * Reads every segment of a spool directory. A torn record at the very end (the machine lost power in mid-write) is cut
 * off; damage anywhere else is an error that names file and offset, because what follows can't be trusted to be whole.
 * @param timeOf the record whose time is asked for
 */
export function recover(directory: string, timeOf = 1): Recovered {
  const names = fs.readdirSync(directory).filter((name) => name.endsWith('.spool')).sort()
  const segments: Segment[] = []
  const sessions = new Map<string, Tracked>()
  const heads = new Map<string, RecoveredHead>()
  let time: string | undefined
  for (const [index, name] of names.entries()) {
    const file = path.join(directory, name)
    const firstSeq = Number.parseInt(name, 10)
    const previous = segments.at(-1)
    if (!Number.isSafeInteger(firstSeq) || firstSeq < 1) throw new SpoolCorruptError(`${file}: not a spool segment's name`)
    if (previous && previous.lastSeq + 1 !== firstSeq) {
      throw new SpoolCorruptError(`${file}: starts at record ${firstSeq}, but the segment before it ends at ${previous.lastSeq}`)
    }
    segments.push(
      readSegment(file, firstSeq, index === names.length - 1, (record, payload) => {
        if (record.seq === timeOf) time = record.time
        follow(heads, record, payload, track(sessions, record))
      }),
    )
  }
  const unfinished = [...sessions]
    .filter(([, { commands, ended }]) => !ended || commands.size > 0)
    .map(([session, { commands, ...state }]) => ({ session, commands: [...commands], ...state }))
  return { segments, unfinished, heads: [...heads.values()], time }
}

function readSegment(file: string, firstSeq: number, last: boolean, each: (record: z.infer<typeof recordShape>, payload: Buffer) => void): Segment {
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
    const header = Buffer.from(splitRecord(scanned.payload).header)
    const record = recordShape.safeParse(parseJson(header))
    seq += 1
    if (!record.success || record.data.seq !== seq) throw new SpoolCorruptError(`${file}: record at byte ${offset} is not number ${seq}`)
    each(record.data, header)
    offset = scanned.next
  }
  return { file, firstSeq, lastSeq: seq, bytes: offset }
}

/** A session's chain goes on, after a restart, from the last record that is there; also behind its end. */
function follow(heads: Map<string, RecoveredHead>, { kind, session, heads: signed }: z.infer<typeof recordShape>, payload: Buffer, closed: boolean): void {
  if (kind === 'session.signed') {
    for (const { session: named, records } of signed ?? []) {
      const head = heads.get(named)
      if (head?.records === records) heads.set(named, { ...head, signed: true })
    }
  }
  if (session === undefined) return
  const link = chainOf(payload.toString('utf8', 0, 256))
  if (link !== undefined) heads.set(session, { session, records: link.n, head: headOf(payload), closed, signed: false })
}

function parseJson(header: Buffer): unknown {
  try {
    return JSON.parse(header.toString('utf8'))
  } catch {
    return undefined
  }
}

function hasRecordAfter(bytes: Buffer, offset: number): boolean {
  if (bytes.length - offset < 8) return false
  const next = offset + 8 + bytes.readUInt32BE(offset)
  return next < bytes.length && scanRecord(bytes, next).kind === 'record'
}

/** Returns whether the record's session has ended. What was under way at the end may be closed behind it. */
function track(sessions: Map<string, Tracked>, { kind, session, command, audit }: z.infer<typeof recordShape>): boolean {
  if (session === undefined) return false
  const state = sessions.get(session) ?? { commands: new Set<number>(), started: 0, ended: false, bestEffort: false }
  sessions.set(session, state)
  if (audit === 'best_effort') state.bestEffort = true
  if (kind === 'session.end') state.ended = true
  if (command === undefined) return state.ended
  if (kind === 'command') {
    state.commands.add(command)
    state.started = Math.max(state.started, command)
  }
  if (kind === 'command.end') state.commands.delete(command)
  return state.ended
}
