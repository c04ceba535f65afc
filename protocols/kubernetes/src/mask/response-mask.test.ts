import { describe, expect, it } from 'vitest'
import { base64Sentinel, textSentinel } from './sentinel.js'
import { masksOf, noMasks, ofConfigMaps, ofPods, ofSecrets, run, secretMasks } from './testing.js'

const value = 'hunter2-Tr0ub4dor'
const encoded = Buffer.from(value).toString('base64')
const secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'db', namespace: 'shop' },
  type: 'Opaque',
  data: { password: encoded },
}
const { kind: _kind, apiVersion: _apiVersion, ...bare } = secret
const json = JSON.stringify

/** Every coding in which the planted value could get through. */
function leaks(text: string): string[] {
  const forms = [
    value,
    encoded,
    encoded.replace(/=+$/, ''),
    Buffer.from(value).toString('hex'),
    Buffer.from(encoded).toString('base64').slice(0, -4),
  ]
  return forms.filter((form) => text.includes(form))
}

describe('Secrets, in every form that an answer has', () => {
  const last = {
    ...secret,
    metadata: { ...secret.metadata, annotations: { 'kubectl.kubernetes.io/last-applied-configuration': json(secret) } },
  }
  const partial = { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadata', metadata: last.metadata }
  const table = (row: unknown): string =>
    json({ kind: 'Table', apiVersion: 'meta.k8s.io/v1', columnDefinitions: [{ name: 'Name' }], rows: [row] })
  const objects: [string, string, object?][] = [
    ['one', json(secret), ofSecrets],
    ['one, of a request that is not known', json(secret), {}],
    ['one, in the answer to another request', json(secret), ofPods],
    ['the kind behind the data', json({ data: secret.data, metadata: {}, kind: 'Secret' }), ofPods],
    ['stringData', json({ ...secret, data: undefined, stringData: { a: value } }), ofPods],
    ['a list', json({ kind: 'SecretList', apiVersion: 'v1', metadata: {}, items: [bare, bare] }), ofSecrets],
    ['a list that was not asked for', json({ kind: 'SecretList', apiVersion: 'v1', items: [bare] }), ofPods],
    ['a list whose kind comes last', json({ apiVersion: 'v1', items: [bare], kind: 'SecretList' }), ofPods],
    [
      'a value beside it',
      json({ ...secret, data: {}, metadata: { annotations: { 'openshift.io/token-secret.value': value } } }),
      ofSecrets,
    ],
    [
      'a copy in base64',
      json({ ...secret, data: {}, metadata: { annotations: { 'x.io/copy': Buffer.from('abc'.repeat(20) + value).toString('base64') } } }),
      ofSecrets,
    ],
    ['keys with letters that Go folds', json({ kind: 'ClusterSecret', ſtringData: { a: { b: value } } }), ofPods],
    ['the kind under such a key', json({ '\u212aind': 'Secret', data: secret.data }), ofPods],
    ['a list without a kind', json({ items: [bare] }), {}],
    ['a List of anything', json({ kind: 'List', apiVersion: 'v1', items: [{ kind: 'Pod' }, secret] }), ofPods],
    ['a list in a list', json({ kind: 'List', apiVersion: 'v1', items: [{ kind: 'SecretList', items: [bare] }] }), ofPods],
    ['last-applied', json(last), ofSecrets],
    ['last-applied alone', json(partial), ofSecrets],
    [
      'last-applied that can not be read',
      json({
        ...secret,
        data: {},
        metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': `{"data":{"a":"${value}"` } },
      }),
      ofSecrets,
    ],
    [
      'last-applied of something else',
      json({
        kind: 'Foo',
        metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': json({ kind: 'Foo', spec: secret }) } },
      }),
      ofPods,
    ],
    ['an annotation that repeats a value', json({ ...secret, metadata: { annotations: { note: `it is ${value}!` } } }), ofSecrets],
    [
      'a compressed copy',
      json({
        ...secret,
        data: {},
        metadata: { annotations: { 'objectset.rio.cattle.io/applied': Buffer.from(value.repeat(4)).toString('base64') } },
      }),
      ofSecrets,
    ],
    [
      'managed fields',
      json({
        ...secret,
        metadata: { managedFields: [{ manager: 'x', fieldsV1: { 'f:data': { [`v:"${value}"`]: {}, [`k:{"name":"${value}"}`]: {} } } }] },
      }),
      ofSecrets,
    ],
    ['a row with the object', table({ cells: ['db', 'Opaque', 1, '5d'], object: secret }), ofSecrets],
    ['a row with the object, asked as something else', table({ cells: ['db', value, 1, '5d'], object: secret }), ofPods],
    ['a cell', table({ cells: ['db', value, value, value] }), ofSecrets],
    ['inside another object', json({ kind: 'Release', spec: { template: secret, manifests: [secret] } }), ofPods],
    ['JSON in a string', json({ kind: 'ConfigMap', data: { 'a.json': json({ x: [secret] }) } }), ofConfigMaps],
    ['JSON in JSON in a string', json({ kind: 'ConfigMap', data: { a: json({ b: json({ c: json(secret) }) }) } }), ofConfigMaps],
    ['YAML in a string', json({ kind: 'ConfigMap', data: { a: `apiVersion: v1\nkind: Secret\ndata:\n  a: ${encoded}\n` } }), ofConfigMaps],
    ['a key in another case', json({ ...secret, data: undefined, DATA: secret.data }), ofPods],
    ['a key with a letter that Go folds', json({ ...secret, data: undefined, ſtringData: { a: value } }), ofPods],
    [
      'keys with escapes',
      json(secret)
        .replace('"data"', String.raw`"d\u0061ta"`)
        .replace('"kind"', String.raw`"k\u0069nd"`),
      ofPods,
    ],
    ['the kind with escapes', json(secret).replace('"Secret"', String.raw`"S\u0065cret"`), ofPods],
    ['data twice', json(secret).replace('"data"', `"data":{"a":"${encoded}"},"data"`), ofPods],
    ['the kind twice', json(secret).replace('"kind"', '"kind":"ConfigMap","kind"'), ofPods],
    ['data that is no map', json({ ...secret, data: [value, { a: value }] }), ofPods],
    ['a member that no Secret has', json({ ...secret, spec: { a: value } }), ofPods],
    ['a kind of its own that ends like it', json({ kind: 'ClusterSecret', apiVersion: 'x.io/v1', data: secret.data }), ofPods],
    ['no kind, but the type of one', json({ kind: 'Foo', spec: { type: 'kubernetes.io/tls', data: secret.data } }), ofPods],
    [
      'a token that was asked for',
      json({ kind: 'TokenRequest', status: { token: value } }),
      { resource: { group: '', resource: 'serviceaccounts', subresource: 'token' } },
    ],
    [
      'a token in an answer without kind',
      json({ status: { token: value } }),
      { resource: { group: '', resource: 'serviceaccounts', subresource: 'token' } },
    ],
    [
      'a token that was to be checked',
      json({ kind: 'TokenReview', spec: { token: value } }),
      { resource: { group: 'authentication.k8s.io', resource: 'tokenreviews' } },
    ],
    [
      'an error that quotes a value',
      json({
        kind: 'Status',
        message: `Secret "db" is invalid: data[a]: Invalid value: "${value}": no`,
        details: { causes: [{ message: `Invalid value: "${value}"` }] },
      }),
      ofSecrets,
    ],
  ]

  it.each(objects)('%s', (_what, text, options) => {
    const ran = run(text, options)
    expect(ran.error).toBeUndefined()
    expect(leaks(ran.text)).toEqual([])
    expect(leaks(text).length).toBeGreaterThan(0)
    expect(ran.masked).toBeGreaterThan(0)
    expect(() => JSON.parse(ran.text)).not.toThrow()
    // With detectors every object is looked into; without any, only those with a sign of a Secret.
    expect(run(text, { ...options, masks: () => masksOf({ detect: ['stripe_key'] }) }).text).toBe(ran.text)
  })

  it.each(objects)('%s, in a watch', (_what, text, options) => {
    const frames = `${json({ type: 'BOOKMARK', object: { kind: 'Pod' } })}\n{"type":"ADDED","object":${text}}\n`
    const ran = run(frames, { ...options, shape: 'watch' })
    expect(ran.error).toBeUndefined()
    expect(leaks(ran.text)).toEqual([])
    expect(ran.objects).toBe(2)
    expect(ran.text.split('\n')[0]).toBe(frames.split('\n')[0])
  })

  it('keeps what a Secret has beside its values', () => {
    expect(JSON.parse(run(json(secret), ofSecrets).text)).toEqual({ ...secret, data: { password: base64Sentinel } })
    const rows = { kind: 'Table', columnDefinitions: [], rows: [{ cells: ['db', 'kubernetes.io/tls', 2, '5d3h'] }] }
    expect(run(json(rows), ofSecrets).text).toBe(json(rows))
    expect(JSON.parse(run(json({ ...secret, stringData: { a: value } }), ofSecrets).text)).toMatchObject({
      stringData: { a: textSentinel },
    })
  })

  it('leaves references to Secrets alone', () => {
    const pod = {
      kind: 'Pod',
      spec: { volumes: [{ secret: { secretName: 'db' } }], ref: { kind: 'Secret', name: 'db' } },
      involvedObject: { kind: 'Secret', name: 'db' },
    }
    expect(run(json(pod), ofPods).text).toBe(json(pod))
  })

  it('takes what says nothing for Secrets, while the kind of the list is yet to come', () => {
    const ran = run(json({ items: [{ data: secret.data }], kind: 'FooList' }), ofPods)
    expect(leaks(ran.text)).toEqual([])
    expect(ran.masked).toBe(1)
  })

  it('does not compare without bound', () => {
    const data = Object.fromEntries(Array.from({ length: 20_000 }, (_item, index) => [`k${index}`, `${index}`.padStart(12, 'x')]))
    const annotations = Object.fromEntries(Array.from({ length: 50 }, (_item, index) => [`a${index}`, 'y '.repeat(5000)]))
    const started = performance.now()
    const ran = run(json({ ...secret, metadata: { annotations }, data }), ofSecrets)
    expect(performance.now() - started).toBeLessThan(2000)
    expect(ran.text).not.toContain('y y')
  })

  it('refuses a list that says two kinds, or its items twice', () => {
    expect(run('{"kind":"PodList","items":[],"kind":"SecretList"}', ofPods).error).toMatchObject({ problem: 'ambiguous' })
    expect(run('{"items":[],"ITEMS":[]}', ofPods).error).toMatchObject({ problem: 'ambiguous' })
    expect(run('{"items":[1],"kind":"Secret"}', ofPods).error).toMatchObject({ problem: 'ambiguous' })
  })
})

describe('masks of the policy', () => {
  const names = { masks: () => masksOf({ names: ['*password*', '*token*'] }) }
  const container = {
    name: 'c',
    env: [
      { name: 'DB_PASSWORD', value },
      { name: 'PORT', value: '80' },
    ],
    args: [`--db-password=${value}`, '--token', value, '--port=1'],
    command: ['env', `PASSWORD=${value}`],
  }

  it.each([
    ['ConfigMap.data', { kind: 'ConfigMap', data: { 'app.password': value, other: 'x' } }],
    ['ConfigMap.binaryData', { kind: 'ConfigMap', binaryData: { password: encoded } }],
    [
      'env, args and command of containers',
      { kind: 'Pod', spec: { containers: [container], initContainers: [container], ephemeralContainers: [container] } },
    ],
    ['a template in any kind', { kind: 'Rollout', spec: { a: { template: { spec: { containers: [container] } } } } }],
    ['env as a map', { kind: 'Foo', spec: { env: { TOKEN: value } } }],
    ['annotations', { kind: 'Pod', metadata: { annotations: { 'example.com/password': value } } }],
    [
      'what was applied',
      {
        kind: 'Pod',
        metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': json({ spec: { containers: [container] } }) } },
      },
    ],
    ['a Table’s column', { kind: 'Table', columnDefinitions: [{ name: 'Name' }, { name: 'Password' }], rows: [{ cells: ['x', value] }] }],
    ['a Table whose columns come last', { kind: 'Table', rows: [{ cells: [value] }], columnDefinitions: [{ name: 'Password' }] }],
  ])('by name: %s', (_what, object) => {
    const ran = run(json(object), { ...ofPods, ...names })
    expect(leaks(ran.text)).toEqual([])
    expect(() => JSON.parse(ran.text)).not.toThrow()
    expect(run(json(object), { ...ofPods, masks: () => noMasks }).text).toBe(json(object))
  })

  it('by name: leaves labels, other keys and references', () => {
    const pod = {
      kind: 'Pod',
      metadata: { labels: { password: 'a' } },
      env: [{ name: 'DB_PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } }],
    }
    expect(run(json(pod), { ...ofPods, ...names }).text).toBe(json(pod))
  })

  it('null becomes the sentinel, so that writing it back is seen', () => {
    const ran = run('{"kind":"ConfigMap","data":{"a":"b"}}', { ...ofConfigMaps, masks: () => masksOf({ names: ['a'], with: 'null' }) })
    expect(JSON.parse(ran.text)).toMatchObject({ data: { a: textSentinel } })
  })

  it('by path', () => {
    const map = (name: string): string =>
      json({ kind: 'ConfigMap', metadata: { namespace: 'shop', name }, data: { url: value, 'a.b': value } })
    const masks = { ...ofConfigMaps, masks: () => masksOf({ columns: ['configmaps/shop/app/url', 'configmaps/*/other/*'] }) }
    expect(JSON.parse(run(map('app'), masks).text)).toMatchObject({ data: { url: '[redacted]', 'a.b': value } })
    expect(leaks(run(map('other'), masks).text)).toEqual([])
    expect(run(map('third'), masks).text).toBe(map('third'))
    const watch = `{"type":"ADDED","object":${map('app')}}`
    expect(JSON.parse(run(watch, { ...masks, shape: 'watch' }).text)).toMatchObject({
      object: { data: { url: '[redacted]', 'a.b': value } },
    })
    const list = `{"kind":"ConfigMapList","items":[${map('third').replace('"kind":"ConfigMap",', '')},${map('app')}]}`
    expect(JSON.parse(run(list, masks).text)).toMatchObject({
      items: [{ data: { url: value } }, { data: { url: '[redacted]', 'a.b': value } }],
    })
  })

  const github = `ghp_${'a1B2c3D4'.repeat(4)}abcd`
  it.each([
    ['an event’s message', { kind: 'Event', message: `failed with ${github}`, involvedObject: { kind: 'Pod', name: 'x' } }],
    ['an error', { kind: 'Status', message: github, details: { causes: [{ message: github }] } }],
    ['a variable', { kind: 'Pod', spec: { containers: [{ env: [{ name: 'A', value: github }] }] } }],
    ['binaryData that is text', { kind: 'ConfigMap', binaryData: { a: Buffer.from(`x ${github}`).toString('base64') } }],
    ['a cell', { kind: 'Table', rows: [{ cells: [github] }] }],
    ['a key of managed fields', { kind: 'Pod', metadata: { managedFields: [{ fieldsV1: { [`v:"${github}"`]: {} } }] } }],
    ['a selector that is none', { kind: 'Foo', selector: { a: `x ${github}` } }],
    ['a list’s own members', { kind: 'FooList', note: github, items: [], more: github }],
  ])('by content: %s', (_what, object) => {
    const ran = run(json(object), { ...ofPods, masks: () => secretMasks })
    expect(ran.text).not.toContain(github)
    expect(ran.text).not.toContain(Buffer.from(github).toString('base64').slice(4, -4))
    expect(ran.masked).toBeGreaterThan(0)
    expect(() => JSON.parse(ran.text)).not.toThrow()
  })

  it('by content: the variable’s name tells what its value is', () => {
    const pod = {
      kind: 'Pod',
      spec: { containers: [{ env: [{ name: 'DB_PASSWORD', value: 'correct horse' }], args: ['--password', 'staple'] }] },
    }
    const { text } = run(json(pod), { ...ofPods, masks: () => secretMasks })
    expect(text).not.toMatch(/correct|horse|staple/)
  })

  it('by content: leaves what objects are called and when they were made', () => {
    const digits = '4242424242424242'
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: digits,
        uid: digits,
        resourceVersion: digits,
        labels: { a: digits },
        creationTimestamp: '2026-11-20T10:00:00Z',
        ownerReferences: [{ kind: 'X', name: digits, uid: digits }],
        managedFields: [{ manager: digits, time: '2026-11-20T10:00:00Z' }],
      },
      spec: { selector: { matchLabels: { a: digits } } },
    }
    const masks = { ...ofPods, masks: () => masksOf({ detect: ['secrets', 'pii'] }) }
    expect(run(json(pod), masks).text).toBe(json(pod))
    expect(run(json({ ...pod, spec: { note: digits } }), masks).text).not.toBe(json({ ...pod, spec: { note: digits } }))
  })

  it('asks for the masks of now', () => {
    let masks = noMasks
    const frame = json({ type: 'ADDED', object: { kind: 'Event', message: github } })
    const ran = run(`${frame}\n${frame}`, {
      shape: 'watch',
      masks: () => {
        const now = masks
        masks = secretMasks
        return now
      },
    })
    expect(ran.text.split('\n').map((line) => line.includes(github))).toEqual([true, false])
  })
})
