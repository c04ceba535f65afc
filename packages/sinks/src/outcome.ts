import { fieldsOf, textOf, type ReadEvent } from './record.js'

/** What every shape needs to know of an event beyond its own fields. */
export type Outcome = 'success' | 'failure' | 'unknown'

const failures = new Set(['auth.failed', 'session.refused', 'session.lost', 'gap', 'sink.failing', 'sink.dead_letter', 'alert'])
const successes = new Set([
  'auth.succeeded', 'credential.issued', 'credential.revoked', 'session.opened', 'session.start', 'session.end', 'session.killed', 'document.applied',
  'node.enrolled', 'node.connected', 'node.disconnected', 'node.revoked', 'token.created', 'token.revoked', 'lock.created', 'lock.released', 'agent.start', 'agent.stop', 'sink.recovered',
])

/** Whether what the event tells of worked out. A command that was only decided has no outcome yet, unless it was denied. */
export function outcomeOf({ kind, event }: ReadEvent): Outcome {
  if (failures.has(kind)) return 'failure'
  if (successes.has(kind)) return 'success'
  if (kind === 'command') return verdictOf(event) === 'deny' ? 'failure' : 'unknown'
  if (kind === 'command.end') return event['status'] === 'ok' ? 'success' : event['status'] === 'error' || event['status'] === 'cancelled' ? 'failure' : 'unknown'
  if (kind === 'command.released' || kind === 'approval.decided') return event['verdict'] === 'approved' ? 'success' : 'failure'
  return 'unknown'
}

export const verdictOf = (event: ReadEvent['event']): string | undefined => textOf(fieldsOf(event['decision'])['verdict'])

/** Who acted: the person for what people do, else the identity. */
export const actorOf = ({ head, event }: ReadEvent): string | undefined => textOf(event['by']) ?? textOf(head['who']) ?? textOf(event['user'])

/** Address that the client came from, without its port. */
export function clientOf(read: ReadEvent): string | undefined {
  const address = textOf(read.event['client_address']) ?? read.session?.clientAddress
  return address?.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
}
