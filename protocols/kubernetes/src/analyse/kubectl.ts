import { RequestRefusedError } from './refused.js'

interface Kind {
  readonly path: string
  readonly resource: string
  readonly namespaced: boolean
}

const core = (resource: string, namespaced = true): Kind => ({ path: '/api/v1', resource, namespaced })
const grouped = (group: string, resource: string, namespaced = true): Kind => ({ path: `/apis/${group}/v1`, resource, namespaced })

/** Well-known kinds by the names that kubectl takes for them. */
const kinds: Readonly<Record<string, Kind>> = Object.fromEntries(
  ([
    [['pod', 'pods', 'po'], core('pods')],
    [['service', 'services', 'svc'], core('services')],
    [['configmap', 'configmaps', 'cm'], core('configmaps')],
    [['secret', 'secrets'], core('secrets')],
    [['serviceaccount', 'serviceaccounts', 'sa'], core('serviceaccounts')],
    [['event', 'events', 'ev'], core('events')],
    [['persistentvolumeclaim', 'persistentvolumeclaims', 'pvc'], core('persistentvolumeclaims')],
    [['node', 'nodes', 'no'], core('nodes', false)],
    [['namespace', 'namespaces', 'ns'], core('namespaces', false)],
    [['persistentvolume', 'persistentvolumes', 'pv'], core('persistentvolumes', false)],
    [['deployment', 'deployments', 'deploy'], grouped('apps', 'deployments')],
    [['replicaset', 'replicasets', 'rs'], grouped('apps', 'replicasets')],
    [['statefulset', 'statefulsets', 'sts'], grouped('apps', 'statefulsets')],
    [['daemonset', 'daemonsets', 'ds'], grouped('apps', 'daemonsets')],
    [['job', 'jobs'], grouped('batch', 'jobs')],
    [['cronjob', 'cronjobs', 'cj'], grouped('batch', 'cronjobs')],
    [['ingress', 'ingresses', 'ing'], grouped('networking.k8s.io', 'ingresses')],
    [['role', 'roles'], grouped('rbac.authorization.k8s.io', 'roles')],
    [['rolebinding', 'rolebindings'], grouped('rbac.authorization.k8s.io', 'rolebindings')],
    [['clusterrole', 'clusterroles'], grouped('rbac.authorization.k8s.io', 'clusterroles', false)],
    [['clusterrolebinding', 'clusterrolebindings'], grouped('rbac.authorization.k8s.io', 'clusterrolebindings', false)],
  ] as const).flatMap(([names, kind]) => names.map((name) => [name, kind])),
)

/**
 * The request that one of kubectl's plain commands makes, for tests of policies: get, delete, logs, exec, attach, port-forward
 * and scale of well-known kinds, with -n, -A, -l and --all.
 * @throws {RequestRefusedError} for what it can't tell: write the request line instead
 */
export function requestOfKubectl(words: readonly string[]): { line: string; body: string } {
  const dashes = words.indexOf('--')
  const own = dashes < 0 ? words : words.slice(0, dashes)
  const command = dashes < 0 ? [] : words.slice(dashes + 1)
  const { positional, options } = takeApart(own)
  const [verb = '', ...operands] = positional
  const namespace = options.get('n') ?? options.get('namespace') ?? 'default'
  const everywhere = options.has('A') || options.has('all-namespaces')
  const selector = options.get('l') ?? options.get('selector')
  const container = options.get('c') ?? options.get('container')
  const query = (parts: readonly (readonly [string, string])[]): string => (parts.length === 0 ? '' : `?${parts.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`)
  const ofContainer = container === undefined ? [] : ([['container', container]] as const)
  switch (verb) {
    case 'get':
    case 'delete': {
      const { kind, name } = objectOf(operands)
      const method = verb === 'get' ? 'GET' : 'DELETE'
      if (verb === 'delete' && name === undefined && selector === undefined && !options.has('all')) throw unclear('delete names no object')
      return { line: `${method} ${pathOf(kind, namespace, everywhere, name)}${query(selector === undefined ? [] : [['labelSelector', selector]])}`, body: '' }
    }
    case 'scale': {
      const { kind, name } = objectOf(operands)
      const replicas = Number(options.get('replicas'))
      if (name === undefined || !Number.isInteger(replicas)) throw unclear('scale needs a name and --replicas')
      return { line: `PATCH ${pathOf(kind, namespace, false, name)}/scale`, body: JSON.stringify({ spec: { replicas } }) }
    }
    case 'logs':
    case 'exec':
    case 'attach':
    case 'port-forward': {
      const [pod = '', port] = operands.map((operand) => operand.replace(/^pods?\//, ''))
      if (pod === '' || pod.includes('/')) throw unclear(`${verb} names no pod`)
      const path = `/api/v1/namespaces/${namespace}/pods/${pod}`
      if (verb === 'logs') return { line: `GET ${path}/log${query([...ofContainer, ...(options.has('f') ? [['follow', 'true'] as const] : [])])}`, body: '' }
      if (verb === 'port-forward') return { line: `POST ${path}/portforward${query([['ports', (port ?? '').split(':').at(-1) ?? '']])}`, body: '' }
      const terminal = options.has('it') || options.has('t') || options.has('ti')
      const streams = [...ofContainer, ['stdin', String(terminal || options.has('i'))], ['stdout', 'true'], ['tty', String(terminal)]] as const
      if (verb === 'attach') return { line: `POST ${path}/attach${query(streams)}`, body: '' }
      return { line: `POST ${path}/exec${query([...command.map((word) => ['command', word] as const), ...streams])}`, body: '' }
    }
    default:
      throw unclear(`kubectl ${verb}`.trim())
  }
}

const withValue: ReadonlySet<string> = new Set(['n', 'namespace', 'l', 'selector', 'c', 'container', 'replicas', 'o', 'output'])

function takeApart(words: readonly string[]): { positional: readonly string[]; options: ReadonlyMap<string, string> } {
  const positional: string[] = []
  const options = new Map<string, string>()
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ''
    const match = /^--?([A-Za-z-]+)(?:=(.*))?$/.exec(word)
    if (match?.[1] === undefined) {
      positional.push(word)
      continue
    }
    const takes = withValue.has(match[1]) && match[2] === undefined
    options.set(match[1], match[2] ?? (takes ? (words[++index] ?? '') : ''))
  }
  return { positional, options }
}

function objectOf(operands: readonly string[]): { kind: Kind; name: string | undefined } {
  const [first = '', second] = operands
  const [kindName = '', nameBehind] = first.split('/')
  const kind = kinds[kindName.toLowerCase()]
  if (kind === undefined || operands.length > 2) throw unclear(`the kind ${kindName.slice(0, 60)}`)
  return { kind, name: nameBehind ?? second }
}

function pathOf({ path, resource, namespaced }: Kind, namespace: string, everywhere: boolean, name: string | undefined): string {
  const place = namespaced && !everywhere ? `${path}/namespaces/${namespace}/${resource}` : `${path}/${resource}`
  return name === undefined ? place : `${place}/${name}`
}

function unclear(what: string): RequestRefusedError {
  return new RequestRefusedError({ status: 400, rule: 'offline', message: `what ${what} would ask can't be told here`, hint: 'Write the request line (GET /api/v1/…), or an action and its object (k8s.list pods/shop/*).' })
}
