import { isIP } from 'node:net'
import { actorOf, clientOf, outcomeOf } from '../outcome.js'
import { fieldsOf, listOf, numberOf, present, textOf, textsOf, timeOf, type ReadEvent } from '../record.js'

/** Version of the Elastic Common Schema that the fields are of. */
export const ecsVersion = '8.17.0'

interface Classes {
  readonly category: readonly string[]
  readonly type: readonly string[]
}

const process: Classes = { category: ['process'], type: ['info'] }
const commandCategory: Readonly<Record<string, string>> = { postgres: 'database', ssh: 'process', kubernetes: 'api' }

/** Allowed values of event.category and event.type, by kind. */
function classesOf({ kind, session, event }: ReadEvent): Classes {
  if (kind.startsWith('command') || kind === 'recording') {
    const denied = fieldsOf(event['decision'])['verdict'] === 'deny'
    return { category: [commandCategory[session?.protocol ?? ''] ?? 'process'], type: [kind === 'command' ? (denied ? 'denied' : 'access') : kind === 'command.end' ? 'end' : 'info'] }
  }
  switch (kind) {
    case 'auth.succeeded':
    case 'auth.failed':
      return { category: ['authentication'], type: [kind === 'auth.failed' ? 'denied' : 'allowed'] }
    case 'session.opened':
    case 'session.start':
      return { category: ['session'], type: ['start'] }
    case 'session.refused':
      return { category: ['session'], type: ['denied'] }
    case 'session.end':
    case 'session.killed':
    case 'session.lost':
      return { category: ['session'], type: ['end'] }
    case 'session.viewed':
    case 'session.signed':
    case 'gap':
      return { category: ['session'], type: ['info'] }
    case 'credential.issued':
    case 'token.created':
    case 'node.enrolled':
    case 'lock.created':
      return { category: ['iam'], type: ['creation'] }
    case 'credential.revoked':
    case 'token.revoked':
    case 'node.revoked':
    case 'lock.released':
      return { category: ['iam'], type: ['deletion'] }
    case 'document.applied':
    case 'node.rekeyed':
      return { category: ['configuration'], type: ['change'] }
    case 'agent.start':
    case 'node.connected':
      return { category: ['process'], type: ['start'] }
    case 'agent.stop':
    case 'node.disconnected':
      return { category: ['process'], type: ['end'] }
    case 'alert':
      return { category: ['intrusion_detection'], type: ['info'] }
    default:
      return kind.startsWith('approval.') ? { category: ['iam'], type: ['info'] } : process
  }
}

/**
 * An event in ECS fields. What ECS has no field for stands below `sallyport` with one type per field, so that an index
 * never refuses an event for a mapping conflict; the whole event stands in `event.original`, which ECS doesn't index.
 */
export function ecs(read: ReadEvent, original: string): object {
  const { head, event, kind, id } = read
  const [actor, client] = [actorOf(read), clientOf(read)]
  const decision = fieldsOf(event['decision'])
  const effects = listOf(event['effects']).map(fieldsOf)
  const users = [...new Set([actor, textOf(head['who']), ...textsOf(event['reviewers'])].flatMap((name) => name ?? []))]
  const duration = numberOf(event['duration_us'])
  const ip = client !== undefined && isIP(client) !== 0 ? client : undefined
  return present({
    '@timestamp': timeOf(read),
    ecs: { version: ecsVersion },
    event: present({
      id, kind: kind === 'alert' ? 'alert' : 'event', ...classesOf(read), action: kind, outcome: outcomeOf(read), dataset: 'sallyport.audit', module: 'sallyport',
      provider: textOf(head['source']), sequence: numberOf(head['seq']), created: textOf(head['received_at']), reason: textOf(event['reason']) ?? textOf(decision['reason']),
      code: textOf(event['code']) ?? textOf(event['error_code']), duration: duration === undefined ? undefined : duration * 1000, original,
    }),
    message: textOf(event['text']) ?? textOf(event['message']) ?? kind,
    user: actor === undefined ? undefined : { name: actor },
    source: client === undefined ? undefined : present({ address: client, ip }),
    related: users.length > 0 || ip !== undefined ? present({ user: users.length > 0 ? users : undefined, ip: ip === undefined ? undefined : [ip] }) : undefined,
    service: textOf(head['target']) === undefined ? undefined : { name: textOf(head['target']) },
    process: read.session?.protocol === 'ssh' && textOf(event['text']) !== undefined ? { command_line: textOf(event['text']) } : undefined,
    rule: textOf(decision['rule']) === undefined ? undefined : { name: textOf(decision['rule']) },
    error: textOf(event['error_message']) === undefined ? undefined : { message: textOf(event['error_message']) },
    sallyport: present({
      position: String(read.position), kind, session: textOf(head['session']), command: commandOf(event['command']), protocol: read.session?.protocol, target: textOf(head['target']),
      decision: textOf(decision['verdict']) ?? textOf(event['verdict']), approval: textOf(event['approval']), text_digest: textOf(event['text_digest']),
      actions: effects.length === 0 ? undefined : [...new Set(effects.flatMap((effect) => textOf(effect['action']) ?? []))],
      objects: effects.length === 0 ? undefined : [...new Set(effects.flatMap((effect) => textOf(effect['resource']) ?? []))],
      rows: numberOf(event['rows']), masked: numberOf(event['masked']), bytes: numberOf(event['bytes']),
    }),
  })
}

/** The ordinal within its session, also where an event names the command as `session/ordinal`. */
export function commandOf(value: unknown): number | undefined {
  if (typeof value !== 'string') return numberOf(value)
  const ordinal = Number(value.slice(value.lastIndexOf('/') + 1))
  return Number.isInteger(ordinal) ? ordinal : undefined
}
