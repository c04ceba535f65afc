import { at, isObject, listAt, numberAt, textAt, type Json, type JsonObject } from './json.js'
import type { Kind } from './kinds.js'

interface Column {
  readonly name: string
  readonly wide?: true
  value(object: JsonObject): Json
}

const name: Column = { name: 'Name', value: (object) => textAt(object, 'metadata', 'name') }
const age: Column = { name: 'Age', value: (object) => ageOf(textAt(object, 'metadata', 'creationTimestamp')) }
const ready = (object: JsonObject): string => `${numberAt(object, 'status', 'readyReplicas') ?? 0}/${numberAt(object, 'spec', 'replicas') ?? 0}`
const sizeOf = (value: Json | undefined): number => (isObject(value) ? Object.keys(value).length : 0)

/** Columns as kubectl prints them for the kinds that people look at most. */
const columns: Readonly<Record<string, readonly Column[]>> = {
  pods: [
    name,
    { name: 'Ready', value: (pod) => `${listAt(pod, 'status', 'containerStatuses').length}/${listAt(pod, 'spec', 'containers').length}` },
    { name: 'Status', value: (pod) => textAt(pod, 'status', 'phase') },
    { name: 'Restarts', value: () => 0 },
    age,
    { name: 'IP', wide: true, value: (pod) => textAt(pod, 'status', 'podIP') },
    { name: 'Node', wide: true, value: (pod) => textAt(pod, 'spec', 'nodeName') },
  ],
  deployments: [
    name,
    { name: 'Ready', value: ready },
    { name: 'Up-to-date', value: (object) => numberAt(object, 'status', 'updatedReplicas') ?? 0 },
    { name: 'Available', value: (object) => numberAt(object, 'status', 'availableReplicas') ?? 0 },
    age,
    { name: 'Images', wide: true, value: (object) => listAt(object, 'spec', 'template', 'spec', 'containers').map((container) => textAt(container, 'image')).join(',') },
  ],
  secrets: [name, { name: 'Type', value: (secret) => textAt(secret, 'type') }, { name: 'Data', value: (secret) => sizeOf(at(secret, 'data')) }, age],
  configmaps: [name, { name: 'Data', value: (map) => sizeOf(at(map, 'data')) }, age],
  services: [
    name,
    { name: 'Type', value: (service) => textAt(service, 'spec', 'type') },
    { name: 'Cluster-IP', value: (service) => textAt(service, 'spec', 'clusterIP') },
    { name: 'Port(s)', value: (service) => listAt(service, 'spec', 'ports').map((port) => `${numberAt(port, 'port') ?? 0}/TCP`).join(',') },
    age,
  ],
  nodes: [name, { name: 'Status', value: () => 'Ready' }, { name: 'Version', value: () => 'v1.32.0' }, age],
  namespaces: [name, { name: 'Status', value: (namespace) => textAt(namespace, 'status', 'phase') }, age],
  events: [
    { name: 'Last Seen', value: (event) => ageOf(textAt(event, 'lastTimestamp')) },
    { name: 'Type', value: (event) => textAt(event, 'type') },
    { name: 'Reason', value: (event) => textAt(event, 'reason') },
    { name: 'Object', value: (event) => `${textAt(event, 'involvedObject', 'kind').toLowerCase()}/${textAt(event, 'involvedObject', 'name')}` },
    { name: 'Message', value: (event) => textAt(event, 'message') },
  ],
}

/** A list or object as a Table (Kubernetes API concepts: "Receiving resources as Tables"). */
export function tableOf(kind: Kind, objects: readonly JsonObject[], metadata: JsonObject, includeObject: string, withColumns = true): JsonObject {
  const shown = columns[kind.resource] ?? [name, age]
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns ? shown.map((column) => ({ name: column.name, type: 'string', format: column.name === 'Name' ? 'name' : '', description: '', priority: column.wide ? 1 : 0 })) : null,
    rows: objects.map((object) => ({
      cells: shown.map((column) => column.value(object)),
      object: includeObject === 'Object' ? object : includeObject === 'None' ? null : { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: at(object, 'metadata') ?? {} },
    })),
  }
}

function ageOf(timestamp: string): string {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(timestamp)) / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`
}
