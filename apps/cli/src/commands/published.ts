import type { JsonWebKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ok } from '@sallyport/api-client'
import { isConsistent, readNote, type Checkpoint } from '@sallyport/audit-log'
import { usageError } from '../errors.js'
import type { ControlPlane } from '../http/control-plane.js'
import { asFields, text, type Fields } from '../http/record.js'

/**
 * Checkpoints in a file: signed notes one after another, as `audit checkpoint` prints them; or JSON lines of events in the
 * native shape, as a sink got them, of which `audit.checkpoint` ones count.
 */
export function notesIn(file: string): string[] {
  const content = readFileSync(file, 'utf8')
  const notes = content.startsWith('{') ? content.split('\n').flatMap(noteOfEvent) : content.split(/^(?=sallyport\.dev\/log\/[^\n]*\n\d+\n)/m)
  const found = notes.map((note) => `${note.trimEnd()}\n`).filter((note) => note !== '\n')
  if (found.length === 0) throw usageError(`${file} holds no checkpoint: it takes signed notes, or JSON lines of audit.checkpoint events`)
  return found
}

function noteOfEvent(line: string): string[] {
  if (!line.includes('"audit.checkpoint"')) return []
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return []
  }
  const fields = asFields(value)
  const note = text(fields, 'note') || text(fields, 'event.note') || text(fields, 'body.event.note')
  return note === '' ? [] : [note]
}

export interface Comparison extends Fields {
  readonly ok: boolean
  readonly checked: number
  /** Records of the log now. */
  readonly size: string
  readonly problem?: string
}

/** Proofs come from the control plane and are checked here: it can't talk itself out of what it has signed. */
export async function comparePublished(api: Pick<ControlPlane, 'rest'>, notes: readonly string[], keys: readonly JsonWebKey[]): Promise<Comparison> {
  const bad = (checked: number, problem: string): Comparison => ({ ok: false, checked, size: '', problem })
  const now = readNote((await ok(api.rest.GET('/v1/audit/checkpoint'))).note, keys)
  if (now === undefined) return bad(0, 'its newest checkpoint is not signed by one of the keys that were given')
  let checked = 0
  for (const note of notes) {
    const old = readNote(note, keys)
    if (old === undefined) return bad(checked, `checkpoint ${checked + 1} of the file is not signed by one of the keys that were given`)
    if (old.size > now.size) return bad(checked, `it has ${now.size} records, and had ${old.size} at ${old.time}`)
    if (old.size > 0n && !(await contains(api, old, now, keys))) return bad(checked, `its first ${old.size} records are not those that were signed at ${old.time}`)
    checked += 1
  }
  return { ok: true, checked, size: String(now.size) }
}

async function contains(api: Pick<ControlPlane, 'rest'>, old: Checkpoint, atLeast: Checkpoint, keys: readonly JsonWebKey[]): Promise<boolean> {
  const answer = await ok(api.rest.GET('/v1/audit/consistency', { params: { query: { size: String(old.size) } } }))
  const now = readNote(answer.note, keys)
  return now !== undefined && now.size >= atLeast.size && isConsistent(old, now, answer.proof.map((part) => Buffer.from(part, 'base64url')))
}
