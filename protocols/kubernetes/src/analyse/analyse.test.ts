import { compileRules, type Rule } from '@sallyport/policy'
import { loadShell } from '@sallyport/shell'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { kubernetesActions } from './actions.js'
import { parseBody, understood } from './body.js'
import { commandOf } from './command.js'
import { kubernetesDescriptor } from './descriptor.js'
import { effectsOf } from './effects.js'
import { RequestRefusedError } from './refused.js'
import { parseRequest, type KubernetesRequest, type RequestHead } from './request.js'

beforeAll(() => loadShell())

function head(line: string, headers: Readonly<Record<string, string>> = {}, hasBody = false): RequestHead {
  const [method = '', path = ''] = line.split(' ')
  return { method, path, upgrade: headers['upgrade'], hasBody, header: (name) => headers[name] }
}

const parse = (line: string, headers: Readonly<Record<string, string>> = {}): KubernetesRequest => parseRequest(head(line, headers))
const webSocket = { upgrade: 'websocket' }

/** `action resource` of each effect; marks behind it. */
function effects(line: string, body?: unknown, type = 'application/json'): string[] {
  const stream = /\/(exec|attach|portforward)(\?|$)/.test(line)
  const asked = head(line, { 'content-type': type, ...(stream ? webSocket : {}) }, body !== undefined)
  const request = parseRequest(asked)
  const read = body === undefined ? undefined : parseBody(request, asked, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)))
  return effectsOf(request, read).map(({ action, resource, implied, harmless, details }) => [`${action} ${resource}`.trim(), ...(implied ? ['implied'] : []), ...(harmless ? ['harmless'] : []), ...(details?.['mustName'] === true ? ['must-name'] : []), ...(details?.['sensitive'] === true ? ['sensitive'] : [])].join(' | '))
}

describe('requests and their effects', () => {
  test.each([
    ['GET /', 'k8s.discovery | harmless'],
    ['GET /api', 'k8s.discovery | harmless'],
    ['GET /api/', 'k8s.discovery | harmless'],
    ['GET /apis?timeout=32s', 'k8s.discovery | harmless'],
    ['GET /apis/apps/v1', 'k8s.discovery | harmless'],
    ['GET /openapi/v2?timeout=32s', 'k8s.discovery | harmless'],
    ['GET /openapi/v3/apis/apps/v1?hash=0A', 'k8s.discovery | harmless'],
    ['GET /version', 'k8s.discovery | harmless'],
    ['GET /readyz?verbose', 'k8s.discovery | harmless'],
    ['GET /metrics', 'k8s.raw /metrics | must-name'],
    ['GET /debug/pprof', 'k8s.raw /debug/pprof | must-name'],
    ['GET /api/v1/namespaces/shop/pods', 'k8s.list pods/shop/*'],
    ['GET /api/v1/namespaces/shop/pods?watch=true', 'k8s.watch pods/shop/*'],
    ['GET /api/v1/namespaces/shop/pods?watch=1', 'k8s.watch pods/shop/*'],
    ['GET /api/v1/namespaces/shop/pods?watch=false', 'k8s.list pods/shop/*'],
    ['GET /api/v1/namespaces/shop/pods/api', 'k8s.get pods/shop/api'],
    ['GET /api/v1/namespaces/shop/pods?fieldSelector=metadata.name%3Dapi', 'k8s.list pods/shop/api'],
    ['GET /api/v1/namespaces/shop/pods?fieldSelector=metadata.name%3Da%2Cmetadata.name%3Db', 'k8s.list pods/shop/*'],
    ['GET /api/v1/namespaces/shop/pods?fieldSelector=metadata.name%21%3Da', 'k8s.list pods/shop/*'],
    ['GET /api/v1/namespaces/shop/pods?fieldSelector=metadata.namespace%21%3Da%5C%2Cmetadata.name%3Dmine', 'k8s.list pods/shop/*'],
    ['GET /api/v1/pods', 'k8s.list pods/*/*'],
    ['GET /apis/example.com/v1/widgets', 'k8s.list widgets.example.com/*/*'],
    ['GET /apis/example.com/v1/widgets/x', 'k8s.get widgets.example.com/-/x'],
    ['GET /api/v1/nodes', 'k8s.list nodes/-/*'],
    ['GET /api/v1/nodes/n-1', 'k8s.get nodes/-/n-1'],
    ['GET /api/v1/namespaces', 'k8s.list namespaces/-/*'],
    ['GET /api/v1/namespaces/shop', 'k8s.get namespaces/-/shop'],
    ['GET /api/v1/namespaces/shop/status', ['k8s.get namespaces/-/shop/status', 'k8s.get namespaces/-/shop | implied']],
    ['GET /apis/rbac.authorization.k8s.io/v1/clusterroles/system:node', 'k8s.get clusterroles.rbac.authorization.k8s.io/-/system:node'],
    ['GET /api/v1/namespaces/shop/secrets', 'k8s.list secrets/shop/* | sensitive'],
    ['GET /api/v1/secrets', 'k8s.list secrets/*/* | sensitive'],
    ['HEAD /api/v1/namespaces/shop/secrets/db', 'k8s.get secrets/shop/db | sensitive'],
    ['GET /apis/apps/v1/namespaces/shop/deployments/api/scale', ['k8s.get deployments.apps/shop/api/scale', 'k8s.get deployments.apps/shop/api | implied']],
    ['GET /api/v1/namespaces/shop/pods/api/log?container=main&follow=true&tailLines=10', 'k8s.logs pods/shop/api'],
    ['GET /api/v1/namespaces/shop/pods/api/proxy/admin', 'k8s.proxy pods/shop/api | must-name'],
    ['GET /api/v1/namespaces/shop/services/https:api:443/proxy/', 'k8s.proxy services/shop/api | must-name'],
    ['GET /api/v1/namespaces/shop/services/api:http/proxy', 'k8s.proxy services/shop/api | must-name'],
    ['GET /api/v1/nodes/n-1:10250/proxy/run/a//b', undefined],
    ['GET /api/v1/nodes/n-1:10250/proxy/pods', 'k8s.proxy nodes/-/n-1 | must-name'],
    ['DELETE /apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com', ['k8s.delete customresourcedefinitions.apiextensions.k8s.io/-/widgets.example.com', 'k8s.delete widgets.example.com/*/* | implied', 'k8s.deletecollection widgets.example.com/*/* | implied']],
    ['DELETE /apis/apiextensions.k8s.io/v1/customresourcedefinitions', ['k8s.deletecollection customresourcedefinitions.apiextensions.k8s.io/-/*', 'k8s.delete */*/* | implied', 'k8s.deletecollection */*/* | implied']],
    ['GET /api/v1/nodes/n-1/proxy/logs', 'k8s.proxy nodes/-/n-1 | must-name'],
    ['GET /api/v1/nodes/n-1/metrics', 'k8s.subresource nodes/-/n-1/metrics | must-name'],
    ['DELETE /api/v1/namespaces/shop/pods/api', 'k8s.delete pods/shop/api'],
    ['DELETE /api/v1/namespaces/shop/pods?labelSelector=app%3Dapi', 'k8s.deletecollection pods/shop/*'],
    ['GET /api/v1/namespaces/shop/pods/api/exec?command=ls&stdout=true', 'k8s.exec pods/shop/api'],
    ['POST /api/v1/namespaces/shop/pods/api/exec?command=ls&stdout=true', 'k8s.exec pods/shop/api'],
    ['GET /api/v1/namespaces/shop/pods/api/exec?command=sh&stdin=true&tty=true', ['k8s.exec pods/shop/api', 'k8s.exec.opaque pods/shop/api | must-name']],
    ['GET /api/v1/namespaces/shop/pods/api/exec?stdin=true', 'k8s.exec.opaque pods/shop/api | must-name'],
    ['POST /api/v1/namespaces/shop/pods/api/attach?stdin=true', 'k8s.attach pods/shop/api'],
    ['POST /api/v1/namespaces/shop/pods/api/portforward', 'k8s.portforward pods/shop/api'],
  ])('%s', (line, wanted) => {
    if (wanted === undefined) expect(() => effects(line)).toThrow(RequestRefusedError)
    else expect(effects(line)).toEqual([wanted].flat())
  })

  test('what a shell in a container would run is taken apart', () => {
    const exec = (...words: string[]): string[] => effects(`POST /api/v1/namespaces/shop/pods/api/exec?${words.map((word) => `command=${encodeURIComponent(word)}`).join('&')}`)
    expect(exec('sh', '-c', 'ls; rm -rf / > /dev/null')).toEqual(['k8s.exec pods/shop/api', 'k8s.exec pods/shop/api', 'k8s.exec.redirect pods/shop/api'])
    expect(exec('sh', '-c', 'eval "$X"').some((effect) => effect.startsWith('k8s.exec.opaque'))).toBe(true)
    for (const words of [['sudo', 'ls'], ['su', '-c', 'ls'], ['sh', '-c', 'runuser -u app -- ls'], ['env', 'A=b', 'doas', 'ls']]) expect(exec(...words), words.join(' ')).toContain('k8s.exec.sudo pods/shop/api | must-name')
    expect(exec('env', 'A=b', 'bash').some((effect) => effect.startsWith('k8s.exec.opaque'))).toBe(true)
  })

  test('bodies: names, facts, what goes with a namespace', () => {
    const shop = '/api/v1/namespaces/shop'
    expect(effects(`POST ${shop}/configmaps`, { metadata: { name: 'a' } })).toEqual(['k8s.create configmaps/shop/a'])
    expect(effects(`POST ${shop}/configmaps`, { metadata: { generateName: 'a-' } })).toEqual(['k8s.create configmaps/shop/*'])
    expect(effects(`POST ${shop}/configmaps`, { metadata: { name: '*' } })).toEqual(['k8s.create configmaps/shop/*'])
    expect(effects(`POST ${shop}/pods/api/eviction`, { metadata: { name: 'api' } })).toEqual(['k8s.delete pods/shop/api'])
    expect(effects(`POST ${shop}/bindings`, { metadata: { name: 'api' } })).toEqual(['k8s.subresource pods/shop/api/binding | must-name'])
    expect(effects(`PUT ${shop}/services/a`, { metadata: { name: 'a', resourceVersion: '17' } })).toHaveLength(2)
    expect(effects(`POST ${shop}/serviceaccounts/x/token`, {})).toEqual(['k8s.token serviceaccounts/shop/x | must-name'])
    expect(effects(`PATCH ${shop}/pods/api/ephemeralcontainers`, {}, 'application/strategic-merge-patch+json')).toEqual(['k8s.ephemeral pods/shop/api'])
    expect(effects(`PUT ${shop}/configmaps/a`, { metadata: { name: 'a' } })).toEqual(['k8s.update configmaps/shop/a', 'k8s.create configmaps/shop/a'])
    expect(effects(`PUT ${shop}/configmaps/a`, { metadata: { name: 'a', resourceVersion: '0' } })).toHaveLength(2)
    expect(effects(`PUT ${shop}/configmaps/a`, { metadata: { name: 'a', resourceVersion: '17' } })).toEqual(['k8s.update configmaps/shop/a'])
    expect(effects('DELETE /api/v1/namespaces/shop')).toEqual(['k8s.delete namespaces/-/shop', 'k8s.delete */shop/* | implied', 'k8s.deletecollection */shop/* | implied'])
    expect(effects('POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {})).toEqual(['k8s.review selfsubjectaccessreviews.authorization.k8s.io/-/* | harmless'])
    expect(effects('POST /apis/authorization.k8s.io/v1/subjectaccessreviews', {})).toEqual(['k8s.review subjectaccessreviews.authorization.k8s.io/-/*'])
  })

  test.each([
    ['a pod', 'POST /api/v1/namespaces/shop/pods', 'application/json', { kind: 'Pod', spec: { hostNetwork: true, serviceAccountName: 'root', containers: [{ image: 'x:1', securityContext: { privileged: true, runAsUser: 0, capabilities: { add: ['SYS_ADMIN'] } } }], volumes: [{ hostPath: { path: '/' } }, { secret: { secretName: 'db' } }] } }, { kind: 'Pod', host_network: true, service_account: 'root', image: ['x:1'], privileged: true, run_as_root: true, capabilities_added: ['SYS_ADMIN'], host_path: true, secret_refs: ['db'] }],
    ['a template', 'POST /apis/batch/v1/namespaces/shop/cronjobs', 'application/json', { spec: { jobTemplate: { spec: { template: { spec: { containers: [{ securityContext: { privileged: true } }] } } } } } }, { privileged: true }],
    ['a merge patch', 'PATCH /apis/apps/v1/namespaces/shop/deployments/api', 'application/merge-patch+json', { spec: { replicas: 0 } }, { replicas: 0, scaled_to_zero: true, changed: ['spec.replicas'] }],
    ['a JSON patch', 'PATCH /apis/apps/v1/namespaces/shop/deployments/api', 'application/json-patch+json', [{ op: 'add', path: '/spec/template/spec/containers/0/securityContext', value: { privileged: true } }, { op: 'replace', path: '/spec/template/spec/volumes/0/hostPath', value: { path: '/' } }], { privileged: true, host_path: true }],
    ['a JSON patch of one field', 'PATCH /apis/apps/v1/namespaces/shop/deployments/api', 'application/json-patch+json', [{ op: 'replace', path: '/spec/template/spec/containers/0/securityContext/privileged', value: true }], { privileged: true }],
    ['an apply', 'PATCH /api/v1/namespaces/shop/pods/api?fieldManager=x', 'application/apply-patch+yaml', 'apiVersion: v1\nkind: Pod\nmetadata: { name: api }\nspec: { hostPID: true }\n', { kind: 'Pod', host_pid: true, changed: ['spec.hostPID'] }],
    ['a dry run', 'DELETE /api/v1/namespaces/shop/pods/api?dryRun=All&propagationPolicy=Foreground&gracePeriodSeconds=0', 'application/json', '', { dry_run: true, propagation: 'Foreground', grace_seconds: '0' }],
    ['a dry run by its body', 'DELETE /api/v1/namespaces/shop/pods/api', 'application/json', { dryRun: ['All'], propagationPolicy: 'Orphan', gracePeriodSeconds: 0 }, { dry_run: true, propagation: 'Orphan', grace_seconds: '0' }],
    ['a JSON patch of an element', 'PATCH /apis/apps/v1/namespaces/shop/deployments/api', 'application/json-patch+json', [{ op: 'add', path: '/spec/template/spec/containers/0/securityContext/capabilities/add/-', value: 'SYS_ADMIN' }, { op: 'add', path: '/spec/template/spec/containers/-', value: { image: 'evil' } }], { capabilities_added: ['SYS_ADMIN'], image: ['evil'] }],
    ['two service accounts', 'POST /api/v1/namespaces/shop/pods', 'application/json', { spec: { serviceAccountName: 'admin', serviceAccount: 'default' } }, { service_account: ['admin', 'default'] }],
    ['a long patch', 'PATCH /api/v1/namespaces/shop/configmaps/a', 'application/merge-patch+json', { data: Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`k${index}`, 'x'])) }, { uncertain: ['changed'] }],
    ['many images', 'POST /api/v1/namespaces/shop/pods', 'application/json', { spec: { containers: Array.from({ length: 51 }, (_, index) => ({ image: `i-${index}` })) } }, { uncertain: ['image'] }],
    ['two numbers of replicas', 'PATCH /apis/apps/v1/namespaces/shop/deployments/api', 'application/merge-patch+json', { spec: { replicas: 0, x: { spec: { replicas: 5 } } } }, { replicas: [0, 5], scaled_to_zero: true }],
    ['a job that is stopped', 'PATCH /apis/batch/v1/namespaces/shop/jobs/a', 'application/merge-patch+json', { spec: { parallelism: 0 } }, { scaled_to_zero: true }],
    ['a process of its node', 'POST /api/v1/namespaces/shop/pods', 'application/json', { spec: { securityContext: { windowsOptions: { hostProcess: true } } } }, { privileged: true }],
    ["a volume that is a node's folder", 'POST /api/v1/persistentvolumes', 'application/json', { spec: { local: { path: '/' } } }, { host_path: true }],
    ['secrets by other names', 'POST /api/v1/namespaces/shop/pods', 'application/json', { spec: { imagePullSecrets: [{ name: 'a' }], volumes: [{ projected: { sources: [{ secret: { name: 'b' } }] } }, { csi: { nodePublishSecretRef: { name: 'c' } } }] } }, { secret_refs: ['a', 'b', 'c'] }],
    ['positions that other readers take', 'PATCH /api/v1/namespaces/shop/pods/a', 'application/json-patch+json', [{ op: 'add', path: '/spec/containers/0/securityContext/capabilities/add/-1', value: 'X' }], { capabilities_added: ['X'] }],
    ['what stood in what is replaced', 'PATCH /apis/apps/v1/namespaces/shop/deployments/api', 'application/json-patch+json', [{ op: 'replace', path: '/spec', value: { a: 1 } }], { uncertain: ['changed'] }],
    ['what stood in what is removed', 'PATCH /apis/apps/v1/namespaces/shop/deployments/api', 'application/merge-patch+json', { spec: null }, { uncertain: ['changed'] }],
    ['directives', 'PATCH /apis/apps/v1/namespaces/shop/deployments/api', 'application/strategic-merge-patch+json', { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } }, { uncertain: ['changed'] }],
    ['seconds in another form', 'DELETE /api/v1/namespaces/shop/pods/api?gracePeriodSeconds=00&orphanDependents=true', 'application/json', '', { grace_seconds: '0', propagation: 'Orphan' }],
    ['options of an eviction', 'POST /api/v1/namespaces/shop/pods/api/eviction', 'application/json', { deleteOptions: { gracePeriodSeconds: 0 } }, { grace_seconds: '0', eviction: true }],
    ['a token Secret', 'POST /api/v1/namespaces/shop/secrets', 'application/json', { type: 'kubernetes.io/service-account-token' }, { escalates: true }],
    ['a webhook', 'PUT /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/a', 'application/json', {}, { escalates: true }],
    ['an API service', 'POST /apis/apiregistration.k8s.io/v1/apiservices', 'application/json', {}, { escalates: true }],
    ['an approved certificate', 'PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/a/approval', 'application/json', {}, { escalates: true }],
    ['a volume', 'POST /api/v1/persistentvolumes', 'application/json', { spec: { hostPath: { path: '/' } } }, { escalates: true, host_path: true }],
    ["a namespace's labels", 'PATCH /api/v1/namespaces/shop', 'application/merge-patch+json', { metadata: { labels: { a: 'b' } } }, { escalates: true }],
    ['a token', 'POST /api/v1/namespaces/shop/serviceaccounts/x/token', 'application/json', {}, { escalates: true }],
    ['rights', 'POST /apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings', 'application/json', {}, { escalates: true }],
  ])('facts of %s', (_name, line, type, body, facts) => {
    const asked = head(line, { 'content-type': type }, true)
    const request = parseRequest(asked)
    const [effect] = effectsOf(request, parseBody(request, asked, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))))
    expect(effect?.details).toMatchObject(facts)
  })
})

test.each([
  ['copy', '/spec/template/spec/containers/0/securityContext/privileged', { privileged: true }, 'deny'],
  ['copy', '/spec/template/spec', { capabilities_added: 'SYS_ADMIN' }, 'deny'],
  ['move', '/spec/template/spec/containers/0/image', { image: 'evil' }, 'deny'],
  ['copy', '/metadata/labels/a', { privileged: true }, 'allow'],
])('what a JSON patch takes from the live object by %s to %s meets restrictions, and no permission', (op, path, when, verdict) => {
  const asked = head('PATCH /apis/apps/v1/namespaces/shop/deployments/api', { 'content-type': 'application/json-patch+json' }, true)
  const request = parseRequest(asked)
  const effects = effectsOf(request, parseBody(request, asked, Buffer.from(JSON.stringify([{ op, from: '/spec/x', path }]))))
  const rule = (more: Partial<Rule>): Rule => ({ policy: 'p', index: 0, verdict: 'allow', actions: ['k8s.patch'], on: ['deployments.apps/shop/*'], ...more })
  expect(compileRules([rule({}), rule({ verdict: 'deny', when })], kubernetesActions).decide(effects, '').verdict).toBe(verdict)
  if (verdict === 'deny') expect(compileRules([rule({ when })], kubernetesActions).decide(effects, '').verdict).toBe('deny')
})

describe('what is refused', () => {
  test.each([
    'GET //api/v1/pods', 'GET /api/v1/namespaces/shop/../x', 'GET /api/v1/namespaces/shop/./pods', 'GET /api/v1/namespaces/shop/%2e%2e/x', 'GET /api/v1/namespaces/shop/pods/', 'GET /api/v1/namespaces/Shop/pods',
    'GET /api/v1/namespaces/shop/Pods', 'GET /api/v1/namespaces/shop/pods;a=b', 'GET /api/v1/namespaces/shop/pods\\x', 'GET /api/v01/pods', 'GET /api/V1/pods', 'GET /apis/Apps/v1/deployments', 'GET /api/v1/watch/pods', 'GET /api/v1/proxy/pods',
    'GET http://x/api', 'GET /api/v1/pods#x', 'GET /api/v1/pods?a=1', 'GET /api/v1/pods?limit=1&limit=2', 'GET /api/v1/pods?limit=x', 'GET /api/v1/pods?watch=2', 'GET /api/v1/pods?%77atch=1', 'GET /api/v1/pods?watch=%zz', 'GET /api/v1/pods?labelSelector=a%00b',
    'GET /api/v1/namespaces/shop/pods/api?watch=true', 'POST /api/v1/namespaces/shop/pods/api', 'PUT /api/v1/namespaces/shop/pods', 'PATCH /api/v1/namespaces/shop/pods', 'TRACE /api', 'POST /version', 'GET /api/v1/namespaces/shop/pods/a/log/b',
    'GET /api/v1/namespaces/shop/pods/api/exec?command=ls', 'DELETE /api/v1/namespaces/shop/pods/api/exec', 'GET /api/v1/namespaces/shop/pods/api/log?insecureSkipTLSVerifyBackend=true', 'DELETE /api/v1/namespaces/shop/pods/a?dryRun=None', `GET /api/v1/namespaces/shop/pods/${'a'.repeat(300)}`,
    'GET /apis/apps/v1/namespaces/shop/deployments/api%2fx',
  ])('%s', (line) => {
    expect(() => parse(line)).toThrow(RequestRefusedError)
  })

  test('forms in which nothing could be masked', () => {
    for (const accept of ['application/vnd.kubernetes.protobuf', 'application/cbor', 'text/html', 'application/json;as=Weird;v=v1;g=meta.k8s.io']) expect(() => parse('GET /api/v1/pods', { accept }), accept).toThrow(RequestRefusedError)
    expect(parse('GET /api/v1/pods', { accept: 'application/vnd.kubernetes.protobuf,application/json' }).accept).toBe('application/json')
    expect(parse('GET /api/v1/pods', { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }).accept).toBe('application/json;as=Table;v=v1;g=meta.k8s.io,application/json')
    expect(parse('GET /openapi/v2', { accept: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf' }).accept).toContain('proto-openapi')
  })

  test.each([
    ['twice the same key', '{"metadata":{"name":"a"},"metadata":{}}'], ['escaped twice the same key', '{"a":1,"\\u0061":2}'], ['another name', '{"metadata":{"name":"b"}}'], ['another namespace', '{"metadata":{"namespace":"prod"}}'], ['another version', '{"apiVersion":"v2"}'],
    ['text', '"x"'], ['a byte order mark', '\ufeff{}'], ['two values', '{}{}'], ['too deep', `{"a":${'['.repeat(200)}${']'.repeat(200)}}`],
  ])('a body with %s', (_name, body) => {
    const asked = head('PUT /api/v1/namespaces/shop/configmaps/a', { 'content-type': 'application/json' }, true)
    const request = parseRequest(asked)
    expect(() => parseBody(request, asked, Buffer.from(body))).toThrow(RequestRefusedError)
  })

  test.each([
    ['another kind', 'POST /api/v1/namespaces/shop/configmaps', 'application/json', { kind: 'Secret' }],
    ['another kind in an apply', 'PATCH /apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles/a', 'application/apply-patch+yaml', { kind: 'RoleBinding' }],
    ['an object as options of a deletion', 'DELETE /api/v1/namespaces/shop/pods/a', 'application/json', { kind: 'Pod' }],
    ['a pointer without its slash', 'PATCH /api/v1/namespaces/shop/pods/a', 'application/json-patch+json', [{ op: 'add', path: 'spec/hostPID', value: true }]],
    ['a pointer with another escape', 'PATCH /api/v1/namespaces/shop/pods/a', 'application/json-patch+json', [{ op: 'add', path: '/spec/~2', value: true }]],
    ['a number of YAML alone', 'PATCH /api/v1/namespaces/shop/pods/a', 'application/apply-patch+yaml', 'spec: { replicas: .inf }'],
    ['YAML nested deeply', 'PATCH /api/v1/namespaces/shop/pods/a', 'application/apply-patch+yaml', `a: ${'['.repeat(100_000)}`],
    ['YAML nested more deeply than JSON may be', 'PATCH /api/v1/namespaces/shop/pods/a', 'application/apply-patch+yaml', `a: ${'['.repeat(150)}${']'.repeat(150)}`],
  ])('%s', (_name, line, type, body) => {
    expect(() => effects(line, body, type)).toThrow(RequestRefusedError)
  })

  test.each([
    ['deep brackets', `a: ${'['.repeat(200_000)}`],
    ['compact lists', `${'- '.repeat(120_000)}x`],
    ['more than is written by hand', `a: ${'x'.repeat(300_000)}`],
    ['the same key at the end of many', `${Array.from({ length: 12_000 }, (_, index) => `k${index}: value`).join('\n')}\nk7: other\n`],
  ])('YAML made to cost time: %s', (_name, body) => {
    const before = process.cpuUsage()
    expect(() => effects('PATCH /api/v1/namespaces/shop/configmaps/a', body, 'application/apply-patch+yaml')).toThrow(RequestRefusedError)
    // Not how fast it is, but that it doesn't grow with the square: that took minutes.
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(20)
  })

  test.each(['ingresses', 'networkpolicies', 'ingressclasses'])('a kind whose plural is %s is no other kind', (resource) => {
    const kind = { ingresses: 'Ingress', networkpolicies: 'NetworkPolicy', ingressclasses: 'IngressClass' }[resource]
    expect(effects(`POST /apis/networking.k8s.io/v1/namespaces/shop/${resource}`, { kind })).toHaveLength(1)
  })

  test('options of a deletion in the query, where the API server would not read them', () => {
    expect(() => parse('DELETE /api/v1/namespaces/shop/pods?dryRun=All')).toThrow(RequestRefusedError)
    const asked = head('DELETE /api/v1/namespaces/shop/pods/a?dryRun=All', { 'content-type': 'application/json' }, true)
    expect(() => parseBody(parseRequest(asked), asked, Buffer.from('{}'))).toThrow(RequestRefusedError)
  })

  test('YAML is sent on as it was understood, and an apply may create', () => {
    const asked = head('PATCH /api/v1/namespaces/shop/pods/a', { 'content-type': 'application/apply-patch+yaml' }, true)
    const request = parseRequest(asked)
    const body = parseBody(request, asked, Buffer.from('metadata: { name: a }\nspec: { hostPID: yes }\n'))
    expect(body?.bytes.toString()).toBe('{"metadata":{"name":"a"},"spec":{"hostPID":"yes"}}')
    expect(effectsOf(request, body).map(({ action }) => action)).toEqual(['k8s.patch', 'k8s.create'])
  })

  test('YAML with aliases, two documents or repeated keys', () => {
    const asked = head('PATCH /api/v1/namespaces/shop/configmaps/a', { 'content-type': 'application/apply-patch+yaml' }, true)
    const request = parseRequest(asked)
    for (const body of ['a: &x [1]\nb: *x\n', 'a: 1\n---\nb: 2\n', 'a: 1\na: 2\n', '<<: {a: 1}\n? [1]\n: 2\n']) expect(() => parseBody(request, asked, Buffer.from(body)), body).toThrow(RequestRefusedError)
  })
})

test('what reaches the API server reads the same again, and the same to another reader', () => {
  const segment = fc.oneof(fc.constantFrom('api', 'apis', 'v1', 'apps', 'namespaces', 'shop', 'pods', 'secrets', 'exec', 'log', 'proxy', 'x', '..', '.', '', '%2e%2e', 'A', 'a;b', 'watch'), fc.string({ maxLength: 6 }))
  const query = fc.array(fc.tuple(fc.constantFrom('watch', 'limit', 'fieldSelector', 'labelSelector', 'dryRun', 'command', 'x'), fc.oneof(fc.constantFrom('1', 'true', 'All', 'metadata.name=a', 'a+b', '%26', '%zz'), fc.string({ maxLength: 5 }))), { maxLength: 3 })
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 7 }), query, (segments, parameters) => {
      const line = `GET /${segments.join('/')}${parameters.length === 0 ? '' : `?${parameters.map(([name, value]) => `${name}=${value}`).join('&')}`}`
      if (/[\s]/.test(line.slice(4))) return
      let request: KubernetesRequest
      try {
        request = parse(line)
      } catch (error) {
        expect(error).toBeInstanceOf(RequestRefusedError)
        return
      }
      expect(parse(`GET ${request.target}`).target).toBe(request.target)
      const url = new URL(request.target, 'https://cluster')
      expect(url.pathname).toBe(request.path)
      expect([...url.searchParams]).toEqual(request.query.map(([name, value]) => [name, value]))
    }),
    { numRuns: 2000 },
  )
})

describe('restrictions reach what stands for many', () => {
  const rule = (verdict: Rule['verdict'], actions: string[], on: string[]): Rule => ({ policy: 'p', index: 0, verdict, actions, on })
  const decide = (rules: Rule[], line: string): string => {
    const request = parse(line)
    return compileRules(rules, kubernetesActions).decide(effectsOf(request, undefined), line).verdict
  }
  const allowAll = rule('allow', ['k8s'], ['*', 'secrets/*/*'])

  test.each([
    [[allowAll, rule('deny', ['k8s'], ['secrets/prod/*'])], 'GET /api/v1/secrets', 'deny'],
    [[allowAll, rule('deny', ['k8s'], ['secrets/prod/*'])], 'GET /api/v1/namespaces/shop/secrets', 'allow'],
    [[allowAll, rule('deny', ['k8s'], ['pods/shop/api-1'])], 'GET /api/v1/namespaces/shop/pods', 'deny'],
    [[allowAll, rule('deny', ['k8s'], ['pods/shop/api-1'])], 'DELETE /api/v1/namespaces/shop/pods', 'deny'],
    [[allowAll, rule('hold', ['k8s.remove'], ['pods/shop/api-*'])], 'DELETE /api/v1/namespaces/shop/pods', 'hold'],
    [[allowAll, rule('deny', ['k8s.delete'], ['secrets/shop/*'])], 'DELETE /api/v1/namespaces/shop', 'deny'],
    [[rule('allow', ['k8s.read'], ['pods/shop/api-*'])], 'GET /api/v1/namespaces/shop/pods', 'deny'],
    [[rule('allow', ['k8s.read'], ['pods/shop/*'])], 'GET /api/v1/pods', 'deny'],
    [[rule('allow', ['k8s.read'], ['*/shop/*'])], 'GET /api/v1/namespaces/shop/secrets', 'deny'],
    [[rule('allow', ['k8s.read'], ['secrets/shop/*'])], 'GET /api/v1/namespaces/shop/secrets', 'allow'],
    [[rule('allow', ['k8s'], ['*'])], 'GET /api/v1/nodes/x/proxy/logs', 'deny'],
    [[rule('allow', ['k8s.proxy'], ['*'])], 'GET /api/v1/nodes/x/proxy/logs', 'allow'],
  ])('%#', (rules, line, verdict) => {
    expect(decide(rules, line)).toBe(verdict)
  })
})

test('the text that people see holds no value of a Secret, and the digest is of the very bytes', () => {
  const asked = head('POST /api/v1/namespaces/shop/secrets', { 'content-type': 'application/json' }, true)
  const request = parseRequest(asked)
  const bytes = Buffer.from('{"metadata":{"name":"s","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\\"stringData\\":{\\"a\\":\\"tops\\"}}"}},"stringData":{"a":"tops"},"data":{"b":"dG9wcw=="}}')
  const command = commandOf(request, parseBody(request, asked, bytes))
  expect(command.text).toContain('"a": "(not shown)"')
  expect(JSON.stringify(command)).not.toMatch(/tops|dG9wcw/)
  expect(command.facts).toMatchObject({ body_bytes: bytes.length })
  const other = commandOf(request, parseBody(request, asked, Buffer.concat([bytes, Buffer.from(' ')])))
  expect(other.facts?.['body_sha256']).not.toBe(command.facts?.['body_sha256'])
})

test('of a label that is taken away it is certain what changes, and a dry run of what is proxied is none', () => {
  const label = head('PATCH /api/v1/namespaces/shop/pods/a', { 'content-type': 'application/merge-patch+json' }, true)
  const [patched] = effectsOf(parseRequest(label), parseBody(parseRequest(label), label, Buffer.from('{"metadata":{"labels":{"a":null}}}')))
  expect(patched?.details).toMatchObject({ changed: ['metadata.labels.a'] })
  expect(patched?.details).not.toHaveProperty('uncertain')
  expect(effectsOf(parse('POST /api/v1/namespaces/shop/services/a/proxy/x?dryRun=All'), undefined)[0]?.details).not.toHaveProperty('dry_run')
})

test('the token that a TokenReview asks about stands in no event', () => {
  const asked = head('POST /apis/authentication.k8s.io/v1/tokenreviews', { 'content-type': 'application/json' }, true)
  const request = parseRequest(asked)
  expect(JSON.stringify(commandOf(request, parseBody(request, asked, Buffer.from('{"spec":{"token":"tops"}}'))))).not.toContain('tops')
})

test('a protobuf body is what the API server says it is', () => {
  const asked = head('POST /api/v1/namespaces/shop/configmaps', { 'content-type': 'application/vnd.kubernetes.protobuf' }, true)
  const request = parseRequest(asked)
  const body = parseBody(request, asked, Buffer.from('k8s\0…'))
  if (request.kind !== 'resource' || body === undefined) throw new Error('not a resource')
  const read = understood(request, body, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'shop', uid: 'x', managedFields: [] }, data: { k: 'v' } })
  expect(read.value).toEqual({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'shop' }, data: { k: 'v' } })
  expect(() => understood(request, body, { apiVersion: 'v1', metadata: { namespace: 'prod' } })).toThrow(RequestRefusedError)
})

test('targets: what stands in their documents', () => {
  const parseTarget = (spec: unknown): unknown => kubernetesDescriptor.parseTargetSpec(spec)
  expect(parseTarget({ server: 'https://10.0.0.1:6443', credential: { token: 'file:/t' } })).toMatchObject({ server: 'https://10.0.0.1:6443' })
  expect(parseTarget({ credential: { inCluster: true }, tokenRequest: { serviceAccount: 'ns/sa' }, impersonate: { user: '{identity.name}' } })).toMatchObject({ tokenRequest: { ttlSeconds: 3600 } })
  for (const spec of [{ credential: { token: 'file:/t' } }, { server: 'http://x', credential: { token: 'file:/t' } }, { server: 'https://x', credential: { token: 'secret' } }, { server: 'https://x', credential: {} }, { server: 'https://x', credential: { token: 'env:X' }, insecureSkipVerify: true }, { server: 'https://x', credential: { token: 'env:X' }, more: 1 }]) {
    expect(() => parseTarget(spec), JSON.stringify(spec)).toThrow()
  }
})
