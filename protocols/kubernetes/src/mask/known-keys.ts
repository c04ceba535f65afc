import { idOf } from './keys.js'

/** Numbers of the keys that the masking of objects asks for. */
export const id = {
  kind: idOf('kind'),
  apiVersion: idOf('apiversion'),
  metadata: idOf('metadata'),
  type: idOf('type'),
  data: idOf('data'),
  stringData: idOf('stringdata'),
  binaryData: idOf('binarydata'),
  immutable: idOf('immutable'),
  items: idOf('items'),
  rows: idOf('rows'),
  cells: idOf('cells'),
  columnDefinitions: idOf('columndefinitions'),
  object: idOf('object'),
  annotations: idOf('annotations'),
  labels: idOf('labels'),
  managedFields: idOf('managedfields'),
  fields: idOf('fieldsv1'),
  env: idOf('env'),
  value: idOf('value'),
  args: idOf('args'),
  command: idOf('command'),
  name: idOf('name'),
  namespace: idOf('namespace'),
  status: idOf('status'),
  token: idOf('token'),
} as const

const ids = (...names: Parameters<typeof idOf>[0][]): ReadonlySet<number> => new Set(names.map((name) => idOf(name)))

/** In `metadata` and in references to objects: what the object is, not what it holds. */
export const structural = ids(
  'name',
  'namespace',
  'uid',
  'resourceversion',
  'selflink',
  'generatename',
  'continue',
  'creationtimestamp',
  'deletiontimestamp',
)
export const references = ids('ownerreferences', 'involvedobject', 'regarding', 'related', 'targetref')
export const selectors = ids(
  'selector',
  'labelselector',
  'matchlabels',
  'matchexpressions',
  'nodeselector',
  'podselector',
  'namespaceselector',
  'labels',
)
/** Of an entry of `managedFields`, all but the fields. */
export const bookkeeping = ids('manager', 'operation', 'subresource', 'time', 'apiversion')
/** What a Secret has beside its values. */
export const openInSecret = ids('kind', 'apiversion', 'type', 'immutable', 'name', 'namespace', 'uid', 'resourceversion')
