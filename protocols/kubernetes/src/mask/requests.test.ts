import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diffObjects } from './diff.js'
import { findMasked, maskedMessage } from './find-masked.js'
import { mergePatched, PatchError, type JsonValue } from './merge.js'
import { base64Sentinel, textSentinel } from './sentinel.js'
import { masksOf, noMasks, ofPods, ofSecrets, run, secretMasks } from './testing.js'

const json = JSON.stringify

describe('findMasked', () => {
  it.each([
    ['data of a Secret', { data: { a: base64Sentinel, b: 'YQ==' } }, ['$.data.a']],
    ['stringData', { stringData: { 'a.b': textSentinel } }, ['$.stringData["a.b"]']],
    ['a text around it', { a: `user: x\npassword: ${textSentinel}\n` }, ['$.a']],
    ['the policy’s text', { spec: { containers: [{ env: [{ name: 'A', value: '[redacted]' }] }] } }, ['$.spec.containers[0].env[0].value']],
    ['base64 of a text around it', { a: Buffer.from(`x${textSentinel}y`).toString('base64') }, ['$.a']],
    ['with line breaks', { a: `${base64Sentinel.slice(0, 10)}\n${base64Sentinel.slice(10)}\n` }, ['$.a']],
    ['base64 of base64', { a: Buffer.from(base64Sentinel).toString('base64') }, ['$.a']],
    ['base64url', { a: Buffer.from(`\u00ff\u00ff?>~${textSentinel}`).toString('base64url') }, ['$.a']],
    ['last-applied', { metadata: { annotations: { x: json({ data: { a: base64Sentinel } }) } } }, ['$.metadata.annotations.x']],
    ['escaped in last-applied', { a: json({ a: textSentinel }).replace('[', String.raw`\u005b`) }, ['$.a']],
    ['a JSON patch', [{ op: 'replace', path: '/data/a', value: base64Sentinel }], ['$[0].value']],
    ['a JSON patch of more', [{ op: 'add', path: '/data', value: { a: base64Sentinel } }], ['$[0].value.a']],
    ['a key', { metadata: { [`v:"${textSentinel}"`]: {} } }, [`$.metadata[${json(`v:"${textSentinel}"`)}]`]],
    ['in part', { a: 'h***', b: 'd***@e***.com', c: '***1234' }, ['$.a', '$.b', '$.c']],
    ['nothing', { a: 'hunter2', b: ['x***y***z', '* * * * *', 1, null, true], c: 'YWJjZGVmZw==', d: '{"a":"\\n"}', e: '**' }, []],
  ])('%s', (_what, object, paths) => {
    expect(findMasked(object)).toEqual(paths)
  })

  it('finds every mask of an answer that is sent back as it came', () => {
    const text = fc.string({ minLength: 3, maxLength: 40 })
    fc.assert(
      fc.property(text, fc.constantFrom('redact' as const, 'null' as const, 'partial' as const), (value, method) => {
        const secret = json({ kind: 'Secret', data: { a: Buffer.from(value).toString('base64') } })
        expect(findMasked(JSON.parse(run(secret, ofSecrets).text))).toEqual(['$.data.a'])
        const map = json({ kind: 'ConfigMap', data: { password: value }, binaryData: { password: value } })
        const masked = run(map, {
          masks: () => masksOf({ names: ['password'], with: method === 'partial' ? 'redact' : method }),
          resource: { group: '', resource: 'configmaps' },
        })
        expect(findMasked(JSON.parse(masked.text))).toEqual(['$.data.password', '$.binaryData.password'])
      }),
      { numRuns: 100 },
    )
  })

  it('names the paths and what to do, and is bounded', () => {
    expect(maskedMessage([])).toBeUndefined()
    expect(maskedMessage(['$.data.a'])).toContain('$.data.a')
    expect(findMasked(Array.from({ length: 1000 }, () => textSentinel))).toHaveLength(20)
  })
})

describe('mergePatched', () => {
  // The cases of RFC 7386, appendix A.
  it.each<[JsonValue, JsonValue, JsonValue]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('merge: %j with %j is %j', (live, patch, next) => {
    expect(mergePatched(live, patch, 'merge')).toEqual(next)
  })

  // From RFC 6902, appendix A.
  it.each<[string, JsonValue, JsonValue, JsonValue]>([
    ['add a member', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { baz: 'qux', foo: 'bar' }],
    ['add to a list', { foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    ['remove', { baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    ['remove from a list', { foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    ['replace', { baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
    [
      'move',
      { foo: { bar: 'baz', waldo: 'fred' }, qux: {} },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { thud: 'fred' } },
    ],
    [
      'move in a list',
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    ['copy', { a: [1] }, [{ op: 'copy', from: '/a/0', path: '/b' }], { a: [1], b: 1 }],
    ['test', { baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'qux' }], { baz: 'qux' }],
    ['add to the end', { foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc'] }], { foo: ['bar', ['abc']] }],
    [
      'escaped names',
      { '/': 9, '~1': 10 },
      [
        { op: 'test', path: '/~01', value: 10 },
        { op: 'remove', path: '/~1' },
      ],
      { '~1': 10 },
    ],
    ['the whole', { a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }], { b: 2 }],
  ])('json: %s', (_what, live, patch, next) => {
    expect(mergePatched(live, patch, 'json')).toEqual(next)
  })

  it.each<[string, JsonValue, JsonValue]>([
    ['a place that is not', { foo: 'bar' }, [{ op: 'add', path: '/baz/bat', value: 'x' }]],
    ['a test that fails', { baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'bar' }]],
    ['another type', { '/': 9 }, [{ op: 'test', path: '/~1', value: '9' }]],
    ['behind the end', { a: [1] }, [{ op: 'add', path: '/a/3', value: 1 }]],
    ['an index that is none', { a: [1, 2] }, [{ op: 'replace', path: '/a/01', value: 1 }]],
    ['replacing nothing', {}, [{ op: 'replace', path: '/a', value: 1 }]],
    ['an unknown operation', {}, [{ op: 'merge', path: '/a', value: 1 }]],
    ['no value', {}, [{ op: 'add', path: '/a' }]],
    ['a bad path', {}, [{ op: 'add', path: 'a', value: 1 }]],
    ['a bad escape', {}, [{ op: 'add', path: '/~2', value: 1 }]],
    ['into itself', { a: { b: {} } }, [{ op: 'move', from: '/a', path: '/a/b' }]],
    ['no list', {}, { a: 1 }],
  ])('json: refuses %s', (_what, live, patch) => {
    expect(() => mergePatched(live, patch, 'json')).toThrow(PatchError)
  })

  it('lays what a strategic patch or an apply sets over the live object, lists by their keys', () => {
    const live = {
      spec: {
        replicas: 2,
        containers: [
          { name: 'a', image: 'x' },
          { name: 'b', image: 'y' },
        ],
        args: [1, 2],
      },
    }
    const patch = { spec: { replicas: 0, containers: [{ name: 'b', image: 'z' }, { name: 'c' }], args: [3] } }
    const next = { spec: { replicas: 0, containers: [{ name: 'a', image: 'x' }, { name: 'b', image: 'z' }, { name: 'c' }], args: [3] } }
    expect(mergePatched(live, patch, 'strategic')).toEqual(next)
    expect(mergePatched(live, patch, 'apply')).toEqual(next)
  })

  it('takes __proto__ for a key like others', () => {
    const patch: JsonValue = JSON.parse('{"__proto__":{"polluted":true}}')
    const result = mergePatched({}, patch, 'merge')
    expect(Object.keys(result ?? {})).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype)
  })
})

describe('diffObjects', () => {
  const deployment = {
    kind: 'Deployment',
    metadata: {
      name: 'api',
      resourceVersion: '1',
      generation: 1,
      managedFields: [1],
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'x', a: 'b' },
    },
    spec: { replicas: 2, containers: [{ name: 'a', image: 'x:1' }] },
    status: { ready: 1 },
  }

  it('shows what changes, and nothing that the API server keeps for itself', () => {
    const next = {
      ...deployment,
      metadata: {
        ...deployment.metadata,
        resourceVersion: '2',
        generation: 2,
        managedFields: [],
        annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'y' },
      },
      spec: {
        replicas: 0,
        containers: [
          { name: 'new', image: 'z' },
          { name: 'a', image: 'x:2' },
        ],
      },
      status: { ready: 2 },
    }
    expect(diffObjects(deployment, next, { masks: noMasks, ...ofPods })).toEqual({
      truncated: false,
      changes: [
        { path: 'metadata.annotations.a', from: '"b"', to: undefined },
        { path: 'spec.replicas', from: '2', to: '0' },
        { path: 'spec.containers[a].image', from: '"x:1"', to: '"x:2"' },
        { path: 'spec.containers[new]', from: undefined, to: '{"name":"new","image":"z"}' },
      ],
    })
    expect(diffObjects(deployment, deployment, { masks: noMasks })).toEqual({ changes: [], truncated: false })
  })

  it('masks both sides, before it cuts', () => {
    const secret = (text: string): JsonValue => ({
      kind: 'Secret',
      apiVersion: 'v1',
      metadata: { name: 'x' },
      data: { a: text },
      stringData: { b: text.repeat(50) },
    })
    const diff = diffObjects(secret('b2xkIHZhbHVl'), secret('bmV3IHZhbHVl'), { masks: noMasks, ...ofSecrets })
    expect(diff.changes).toEqual([
      { path: 'data.a', from: json(base64Sentinel), to: json(base64Sentinel) },
      { path: 'stringData.b', from: json(textSentinel), to: json(textSentinel) },
    ])
    expect(json(diffObjects(undefined, secret('bmV3IHZhbHVl'), { masks: noMasks }))).not.toContain('bmV3')
    expect(json(diffObjects({}, { data: { a: 'bmV3IHZhbHVl' } }, { masks: noMasks, ...ofSecrets }))).not.toContain('bmV3')
    const token = `ghp_${'a1B2c3D4'.repeat(4)}abcd`
    const entries = (name: string): JsonValue => ({ kind: 'Foo', list: [{ name, x: 1 }], note: token })
    expect(json(diffObjects(entries('a'), entries(token), { masks: secretMasks }))).not.toContain(token)
  })

  it('is bounded', () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_item, index) => [`k${index}`, 'x'.repeat(1000)]))
    const diff = diffObjects({}, many, { masks: noMasks })
    expect(diff.changes).toHaveLength(100)
    expect(diff.truncated).toBe(true)
    expect(Math.max(...diff.changes.map(({ to }) => to?.length ?? 0))).toBe(200)
  })

  it('writes out what would turn or hide text', () => {
    const [change] = diffObjects({}, { 'a\u202eb': '\u202e\u009bx\u200b' }, { masks: noMasks }).changes
    expect(change).toEqual({ path: String.raw`["a\u202eb"]`, from: undefined, to: String.raw`"\u202e\u009bx\u200b"` })
  })
})
