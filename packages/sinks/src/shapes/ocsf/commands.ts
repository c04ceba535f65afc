import { clientOf } from '../../outcome.js'
import { fieldsOf, listOf, present, textOf, type ReadEvent } from '../../record.js'
import { commandOf } from '../ecs.js'
import type { Classified } from './classes.js'
import { actor, endpoint, target } from './parts.js'

type Activity = readonly [id: number, name: string]

/** Most telling first: a command with several effects takes the first that it has. */
const datastore: readonly (readonly [prefix: string, Activity])[] = [
  ['sql.delete', [7, 'Delete']], ['sql.ddl.drop', [7, 'Delete']], ['sql.ddl.create', [6, 'Create']], ['sql.update', [2, 'Update']],
  ['sql.ddl', [2, 'Update']], ['sql.merge', [2, 'Update']], ['sql.insert', [5, 'Write']], ['sql.copy_in', [5, 'Write']], ['sql.select', [4, 'Query']],
]

const api: readonly (readonly [prefix: string, Activity])[] = [
  ['k8s.delete', [4, 'Delete']], ['k8s.create', [1, 'Create']], ['k8s.update', [3, 'Update']], ['k8s.patch', [3, 'Update']],
  ['k8s.get', [2, 'Read']], ['k8s.list', [2, 'Read']], ['k8s.watch', [2, 'Read']], ['k8s.logs', [2, 'Read']], ['k8s.discovery', [2, 'Read']],
]

const covers = (prefix: string, action: string): boolean => action === prefix || action.startsWith(prefix + '.')

const activityOf = (table: typeof datastore, actions: readonly string[], kind: string): Activity =>
  table.find(([prefix]) => actions.some((action) => covers(prefix, action)))?.[1] ?? [99, kind]

/** A command and what became of it, by the protocol of its session: its class, activity and own fields. */
export function classifyCommand(read: ReadEvent): Classified {
  const { event, head, kind } = read
  const effects = listOf(event['effects']).map(fieldsOf)
  const actions = effects.flatMap((effect) => textOf(effect['action']) ?? [])
  const name = textOf(head['target']) ?? 'unknown'
  const uid = [textOf(head['session']) ?? textOf(event['session']), commandOf(event['command'])].filter((part) => part !== undefined).join('/')
  const text = textOf(event['text'])
  const src = endpoint(clientOf(read))
  const protocol = read.session?.protocol ?? protocolOf(actions)
  if (protocol === 'postgres') {
    const [activity, activityName] = activityOf(datastore, actions, kind)
    const query = text === undefined ? {} : { query_info: { uid, query_string: text } }
    return { class: 'datastore', activity, activityName, fields: { actor: actor(read), src_endpoint: src, dst_endpoint: target(read), type_id: 1, type: 'Database', database: { name, type_id: 1, type: 'Relational' }, ...query } }
  }
  if (protocol === 'ssh' && (kind !== 'command' || actions.some((action) => covers('ssh.exec', action) || covers('ssh.shell', action)))) {
    const [activity, activityName]: Activity = kind === 'command' ? [1, 'Launch'] : kind === 'command.end' ? [2, 'Terminate'] : [99, kind]
    const process = present({ uid, cmd_line: text, name: text === undefined ? undefined : text.split(/\s/, 1)[0] })
    return { class: 'process', activity, activityName, fields: { actor: actor(read), device: { name, hostname: name, type_id: 1, type: 'Server' }, process } }
  }
  if (protocol === 'ssh') {
    const refused = fieldsOf(event['decision'])['verdict'] === 'deny'
    return { class: 'ssh', activity: refused ? 5 : 6, activityName: refused ? 'Refuse' : 'Traffic', fields: { src_endpoint: src, dst_endpoint: target(read), ...(text === undefined ? {} : { message: text }) } }
  }
  const [activity, activityName] = activityOf(api, actions, kind)
  const resources = effects.flatMap((effect) => {
    const resource = textOf(effect['resource'])
    return resource === undefined ? [] : [{ name: resource, type: textOf(effect['action']) ?? 'object' }]
  })
  const operation = actions[0] ?? kind
  const request = { uid: uid === '' ? read.id : uid, ...(text === undefined ? {} : { data: { text } }) }
  return {
    class: 'api', activity, activityName,
    fields: { actor: actor(read), src_endpoint: src, dst_endpoint: target(read), api: { operation, request, service: { name } }, ...(resources.length === 0 ? {} : { resources }) },
  }
}

function protocolOf(actions: readonly string[]): string {
  const [first = ''] = actions
  return first.startsWith('sql.') ? 'postgres' : first.startsWith('ssh.') ? 'ssh' : 'other'
}
