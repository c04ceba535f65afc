import { describe, expect, it } from 'vitest'
import { testTree } from '../testing/tree.js'
import { claimAt, claimMismatch } from './claims.js'
import { documentExamples } from './examples.js'
import { documentJsonSchema } from './json-schema.js'
import { documentKindNames, type Document, type PolicyDocument } from './kinds.js'
import { parseDocuments } from './parse.js'
import { parseDuration, parseSize } from './quantities.js'
import { policyReference } from './reference.js'
import { checkReferences, groupsOfUser } from './references.js'
import { resolvePolicies } from './resolve.js'

const context = { actionTrees: { postgres: testTree, other: { actions: { 'x.run': 'runs' }, aliases: {} } }, parseTargetSpec: () => ({}) }

function parse(text: string): readonly Document[] {
  const { documents, errors } = parseDocuments(text, 'f', context)
  expect(errors).toEqual([])
  return documents
}

function policies(...specs: string[]): PolicyDocument[] {
  const text = specs
    .map((spec, index) => `apiVersion: sallyport.dev/v1\nkind: Policy\nmetadata: { name: p${index} }\nspec: ${spec}\n`)
    .join('---\n')
  return parse(text).filter((document) => document.kind === 'Policy')
}

const target = { name: 'orders-db', protocol: 'postgres', labels: { env: 'prod', tier: 'a' } }
const ci = { kind: 'workload', name: 'shop-ci', groups: ['ci'] } as const

describe('resolvePolicies', () => {
  it('selects by subject and target, every part of the target', () => {
    const all = policies(
      '{ subjects: [{ workload: shop-ci }], targets: { names: ["orders-*"] }, rules: [{ allow: sql.select }] }',
      '{ subjects: [{ user: shop-ci }], targets: { names: ["*"] }, rules: [{ deny: "*" }] }',
      '{ subjects: [{ group: ci }], targets: { labels: { env: prod, tier: a } }, rules: [{ allow: sql.insert }] }',
      '{ subjects: [{ group: ci }], targets: { labels: { env: prod, tier: b } }, rules: [{ deny: "*" }] }',
      '{ subjects: [{ group: ci }], targets: { protocol: other }, rules: [{ deny: "*" }] }',
      '{ subjects: [{ group: dba }], targets: { names: ["*"] }, rules: [{ deny: "*" }] }',
    )
    expect(resolvePolicies(all, ci, target)?.rules.map((rule) => `${rule.policy}#${rule.index}`)).toEqual(['p0#0', 'p2#0'])
    expect(resolvePolicies(all, { ...ci, name: 'x', groups: [] }, target)).toBeUndefined()
    expect(resolvePolicies(all, { ...ci, groups: [] }, { ...target, name: 'other' })).toBeUndefined()
  })

  it('takes the tightest of the terms that are stated, and defaults for the rest', () => {
    const base = 'subjects: [{ group: ci }], targets: { names: ["*"] }'
    expect(resolvePolicies(policies(`{ ${base} }`), ci, target)?.terms).toEqual({
      ttl_seconds: 3600,
      idle_seconds: 900,
      audit: 'spooled',
      record_result_bytes: 8192,
      record_terminal_bytes: 4_194_304,
      record_input: false,
      record_parameters: true,
    })
    const both = policies(
      `{ ${base}, session: { ttl: 4h, idle: 5m, audit: strict, recordTerminal: 1MiB, recordInput: true } }`,
      `{ ${base}, session: { ttl: 2h, recordResults: 0, recordTerminal: 2MiB, recordParameters: false } }`,
      `{ ${base} }`,
    )
    expect(resolvePolicies(both, ci, target)?.terms).toEqual({
      ttl_seconds: 7200,
      idle_seconds: 300,
      audit: 'strict',
      record_result_bytes: 0,
      record_terminal_bytes: 1_048_576,
      record_input: true,
      record_parameters: false,
    })
    for (const [first, second, least] of [['normalised', 'digest', 'digest'], ['full', 'normalised', 'normalised'], ['digest', 'full', 'digest']]) {
      const statements = policies(`{ ${base}, session: { recordStatements: ${first} } }`, `{ ${base}, session: { recordStatements: ${second} } }`)
      expect(resolvePolicies(statements, ci, target)?.terms.record_statements).toBe(least)
    }
    const divided = policies(`{ ${base}, session: { recordInput: true } }`, `{ ${base}, session: { recordInput: false } }`)
    expect(resolvePolicies(divided, ci, target)?.terms.record_input).toBe(false)
  })

  it('takes the strictest audit; best_effort only when every policy names it', () => {
    const policy = (audit: string): string => `{ subjects: [{ group: ci }], targets: { names: ["*"] }${audit === '' ? '' : `, session: { audit: ${audit} }`} }`
    const modeOf = (...audits: string[]): string | undefined => resolvePolicies(policies(...audits.map(policy)), ci, target)?.terms.audit
    expect(modeOf('best_effort')).toBe('best_effort')
    expect(modeOf('best_effort', 'best_effort')).toBe('best_effort')
    expect(modeOf('best_effort', '')).toBe('spooled')
    expect(modeOf('best_effort', 'spooled')).toBe('spooled')
    expect(modeOf('best_effort', 'strict', '')).toBe('strict')
  })

  it('leaves other protocols’ actions out, but keeps positions', () => {
    const mixed = policies(
      '{ subjects: [{ group: ci }], targets: { names: ["*"] }, rules: [{ deny: x.run }, { deny: [x.run, sql.delete] }] }',
    )
    expect(resolvePolicies(mixed, ci, target, testTree)?.rules).toMatchObject([{ index: 1, actions: ['sql.delete'] }])
    expect(resolvePolicies(mixed, ci, target)?.rules).toHaveLength(2)
  })
})

describe('checkReferences', () => {
  it('accepts a whole set and names what is missing', () => {
    const set = parse(documentKindNames.map((kind) => documentExamples[kind]).join('---\n'))
    expect(checkReferences(set).map((error) => error.message)).toEqual(['Group "backend": there is no User "ada"'])
    const without = set.filter((document) => document.kind !== 'User' && document.kind !== 'IdentityProvider' && document.kind !== 'GroupMapping')
    const messages = checkReferences(without).map((error) => error.message)
    expect(messages).toContain('Workload "shop-ci": there is no IdentityProvider "github"')
    expect(messages).toContain('Policy "ai-agents-on-orders": there is no group "dba"')
    expect(checkReferences([...set, ...set]).some((error) => error.message.endsWith('is defined more than once'))).toBe(true)
    expect(groupsOfUser('dana', set)).toEqual(['backend', 'dba'])
  })
})

describe('claims', () => {
  const claims = {
    repository_id: 42,
    ref: 'refs/heads/main',
    'kubernetes.io': { namespace: 'shop', pod: { name: 'x' } },
    a: { b: { c: true } },
    groups: ['x', 'y'],
  }
  it('reaches nested claims and names with dots', () => {
    expect(claimAt(claims, 'a.b.c')).toBe(true)
    expect(claimAt(claims, 'kubernetes.io.pod.name')).toBe('x')
    expect(claimAt(claims, 'a.x')).toBeUndefined()
    expect(claimAt(claims, 'constructor.name')).toBeUndefined()
  })
  it('names the rule that fails', () => {
    expect(
      claimMismatch(
        [
          { claim: 'repository_id', values: ['42'] },
          { claim: 'ref', glob: 'refs/heads/*' },
          { claim: 'groups', values: ['y'] },
        ],
        claims,
      ),
    ).toBeUndefined()
    expect(claimMismatch([{ claim: 'ref', glob: 'refs/tags/*' }], claims)).toEqual({
      claim: 'ref',
      expected: 'a value like refs/tags/*',
      found: 'refs/heads/main',
    })
    expect(claimMismatch([{ claim: 'sub', values: ['a', 'b'] }], claims)).toEqual({
      claim: 'sub',
      expected: 'one of a, b',
      found: undefined,
    })
    expect(claimMismatch([{ claim: 'a', values: ['[object Object]'] }], claims)).toMatchObject({ claim: 'a', found: undefined })
  })
})

it.each([
  ['15m', 900],
  ['1h30m', 5400],
  ['90s', 90],
  ['500ms', 0.5],
  ['7d', 604_800],
  ['30m1h', undefined],
  ['15', undefined],
  ['', undefined],
  ['1h1h', undefined],
  ['-5m', undefined],
])('duration %s', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds)
})

it.each([
  ['8KiB', 8192],
  ['0', 0],
  ['1MB', 1_000_000],
  ['2 MiB', 2_097_152],
  ['8kib', undefined],
  ['x', undefined],
  ['-1', undefined],
])('size %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes)
})

it('writes the reference of every kind, field, detector and action, and a JSON Schema of each kind', () => {
  const markdown = policyReference({ postgres: testTree })
  for (const kind of documentKindNames) {
    expect(markdown).toContain(`## ${kind}\n`)
    expect(JSON.stringify(documentJsonSchema(kind))).toContain('"additionalProperties":false')
  }
  for (const word of ['`rules[].approvers.quorum`', '`session.recordResults`', '`credit_card`', '`sql.ddl.drop`', '`sql.write`'])
    expect(markdown).toContain(word)
})
