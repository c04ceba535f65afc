import { clientOf, outcomeOf, verdictOf, actorOf } from '../../outcome.js'
import { fieldsOf, millisOf, numberOf, present, textOf, type Fields, type ReadEvent } from '../../record.js'
import { classes, ocsfVersion, type Classified } from './classes.js'
import { classifyCommand } from './commands.js'
import { actor, endpoint, session, target, user } from './parts.js'

/** What stands in a class's own fields already, and isn't repeated below `unmapped`. */
const mapped = new Set(['text', 'time', 'kind', 'v'])
/** Findings have states of their own: one that is told is new. */
const newFinding = [1, 'New'] as const
const statusNames = { success: [1, 'Success'], failure: [2, 'Failure'], unknown: [0, 'Unknown'] } as const

/** An event in OCSF. The mapping of every kind stands in docs/sinks.md; a test validates each against the published schema. */
export function ocsf(read: ReadEvent): object {
  const { head, event, kind, id, position } = read
  const found = classify(read)
  const of = classes[found.class]
  const [severityId, severity] = severityOf(read)
  const [statusId, status] = found.class === 'finding' ? newFinding : statusNames[outcomeOf(read)]
  const duration = numberOf(event['duration_us'])
  const control = controlOf(read)
  return present({
    message: textOf(event['message']) ?? textOf(event['reason']) ?? kind,
    ...found.fields,
    class_uid: of.uid, class_name: of.name, category_uid: of.category, category_name: of.categoryName,
    activity_id: found.activity, activity_name: found.activityName,
    type_uid: of.uid * 100 + found.activity, type_name: `${of.name}: ${found.activity === 99 ? 'Other' : found.activityName}`,
    time: millisOf(read), severity_id: severityId, severity, status_id: statusId, status,
    status_code: textOf(event['error_code']) ?? textOf(event['code']),
    status_detail: textOf(event['error_message']) ?? textOf(fieldsOf(event['decision'])['reason']),
    duration: duration === undefined ? undefined : Math.round(duration / 1000),
    ...control,
    metadata: present({
      version: ocsfVersion, uid: id, event_code: kind, log_name: 'audit', correlation_uid: textOf(head['session']), original_time: textOf(event['time']),
      logged_time: Date.parse(textOf(head['received_at']) ?? '') || undefined, sequence: Number(position),
      product: { name: 'Sallyport', vendor_name: 'Sallyport' }, profiles: control === undefined ? undefined : ['security_control'],
    }),
    unmapped: { sallyport: present({ position: String(position), source: head['source'], seq: head['seq'], target: head['target'], identity: head['identity'], claims: head['claims'], ...unmapped(event) }) },
  })
}

const unmapped = (event: Fields): Fields => Object.fromEntries(Object.entries(event).filter(([name]) => !mapped.has(name)))

/** The security control that Sallyport is: what it did with a command. */
function controlOf({ kind, event }: ReadEvent): Fields | undefined {
  if (kind !== 'command') return undefined
  const rule = textOf(fieldsOf(event['decision'])['rule'])
  const policy = rule === undefined ? {} : { policy: { name: rule } }
  switch (verdictOf(event)) {
    case 'allow':
      return { action_id: 1, action: 'Allowed', disposition_id: 1, disposition: 'Allowed', ...policy }
    case 'deny':
      return { action_id: 2, action: 'Denied', disposition_id: 2, disposition: 'Blocked', ...policy }
    default:
      return { action_id: 99, action: 'Held', disposition_id: 14, disposition: 'Delayed', ...policy }
  }
}

function severityOf({ kind, event }: ReadEvent): readonly [number, string] {
  if (kind === 'alert') return [4, 'High']
  if (kind === 'auth.failed' || kind === 'session.refused' || kind === 'session.lost' || kind === 'sink.failing' || kind === 'gap' || verdictOf(event) === 'deny') return [3, 'Medium']
  return kind === 'command' && verdictOf(event) === 'hold' ? [2, 'Low'] : [1, 'Informational']
}

function classify(read: ReadEvent): Classified {
  const { kind, event, head } = read
  if (kind.startsWith('command') || kind === 'recording') return classifyCommand(read)
  const who = user(textOf(fieldsOf(event['identity'])['name']) ?? textOf(head['who']) ?? textOf(event['user']))
  const src = clientOf(read) === undefined ? {} : { src_endpoint: endpoint(clientOf(read)) }
  const by = actorOf(read) === undefined ? {} : { actor: actor(read) }
  const own = present({ session: session(read) })
  const login = (activity: number, activityName: string): Classified => ({
    class: 'authentication', activity, activityName,
    fields: { user: who, service: target(read), dst_endpoint: target(read), auth_protocol: textOf(event['method']) ?? 'session', auth_protocol_id: 99, ...src, ...by, ...own },
  })
  switch (kind) {
    case 'auth.succeeded':
    case 'auth.failed':
    case 'session.start':
      return login(1, 'Logon')
    case 'session.end':
    case 'session.killed':
    case 'session.lost':
      return login(2, 'Logoff')
    case 'session.opened':
    case 'session.refused':
      return { class: 'authorize', activity: 1, activityName: 'Assign Privileges', fields: { user: who, privileges: [`connect:${textOf(head['target']) ?? 'unknown'}`], dst_endpoint: target(read), ...src, ...by, ...own } }
    case 'agent.start':
    case 'agent.stop':
    case 'node.connected':
    case 'node.disconnected': {
      const started = kind === 'agent.start' || kind === 'node.connected'
      const app = present({ name: textOf(event['name']) ?? 'sallyport-agent', uid: textOf(event['node']) ?? textOf(head['source']), version: textOf(event['version']) })
      return { class: 'lifecycle', activity: started ? 3 : 4, activityName: started ? 'Start' : 'Stop', fields: { app } }
    }
    case 'gap': {
      const desc = `Without a record: commands ${numberOf(event['first_command']) ?? 1} to ${numberOf(event['last_command']) ?? 'unknown'} of session ${textOf(event['session']) ?? 'unknown'} (${textOf(event['reason']) ?? 'unknown'})`
      return { class: 'finding', activity: 1, activityName: 'Create', fields: { finding_info: present({ uid: read.id, title: 'Gap in the audit record', desc }), is_alert: true } }
    }
    case 'alert':
      return { class: 'finding', activity: 1, activityName: 'Create', fields: { finding_info: present({ uid: read.id, title: textOf(event['code']) ?? kind, desc: textOf(event['message']) }), is_alert: true } }
    default:
      return classifyEntity(read, by)
  }
}

const entityActivities: Readonly<Record<string, readonly [number, string]>> = {
  'credential.issued': [1, 'Create'], 'credential.revoked': [11, 'Deactivate'], 'token.created': [1, 'Create'], 'token.revoked': [11, 'Deactivate'],
  'approval.requested': [1, 'Create'], 'approval.voted': [3, 'Update'], 'approval.decided': [3, 'Update'], 'approval.escalated': [3, 'Update'], 'approval.commented': [3, 'Update'],
  'approval.remembered': [10, 'Activate'], 'approval.reused': [2, 'Read'], 'approval.forgotten': [11, 'Deactivate'], 'document.applied': [3, 'Update'],
  'lock.created': [1, 'Create'], 'lock.released': [4, 'Delete'], 'session.viewed': [2, 'Read'], 'node.enrolled': [6, 'Enroll'], 'node.revoked': [7, 'Unenroll'],
}

/** What is made, changed and taken away by the control plane: credentials, tokens, approvals, documents, nodes, sinks. */
function classifyEntity(read: ReadEvent, by: Fields): Classified {
  const { kind, event } = read
  const [activity, activityName] = entityActivities[kind] ?? [99, kind]
  const type = kind.split('.', 1)[0] ?? kind
  const uid = textOf(event[type]) ?? textOf(event['version']) ?? read.id
  const src = clientOf(read) === undefined ? {} : { src_endpoint: endpoint(clientOf(read)) }
  return { class: 'entity', activity, activityName, fields: { entity: present({ type, uid, name: textOf(event['name']) ?? textOf(event[type]) }), ...src, ...by } }
}
