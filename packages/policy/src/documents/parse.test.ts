import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { testTree } from '../testing/tree.js'
import type { DocumentContext } from './context.js'
import { documentExamples } from './examples.js'
import { documentKindNames } from './kinds.js'
import { formatDocumentError, parseDocuments } from './parse.js'

class SpecError extends Error {
  constructor(
    readonly path: readonly string[],
    message: string,
  ) {
    super(message)
  }
}

const context: DocumentContext = {
  actionTrees: { postgres: testTree, other: { actions: { 'x.run': 'runs' }, aliases: {} } },
  parseTargetSpec(_protocol, spec) {
    if (typeof spec !== 'object' || spec === null || !('host' in spec)) throw new SpecError(['host'], 'the host is missing')
    return { host: spec.host, checked: true }
  },
}

function errors(text: string): string[] {
  return parseDocuments(text, 'f.yaml', context).errors.map(formatDocumentError)
}

function policy(spec: string): string {
  return `apiVersion: sallyport.dev/v1\nkind: Policy\nmetadata: { name: p }\nspec:\n  subjects: [{ user: ada }]\n  targets: { names: [db] }\n${spec.replace(/^/gm, '  ')}\n`
}

describe('parseDocuments', () => {
  it.each(documentKindNames)('reads its own example of %s', (kind) => {
    const { documents, errors: found } = parseDocuments(documentExamples[kind], 'example.yaml', context)
    expect(found).toEqual([])
    expect(documents).toHaveLength(1)
    expect(documents[0]).toMatchObject({ kind, path: 'example.yaml', line: 1, text: documentExamples[kind] })
  })

  it('turns durations and sizes into seconds and bytes, and fills defaults in', () => {
    const [provider, document] = parseDocuments(
      `${documentExamples.IdentityProvider.replace('  maxTokenAge: 15m\n', '')}---\n${policy('session: { ttl: 1h30m, recordResults: 2KiB }\nrules: [{ hold: sql.delete, approvers: { groups: [dba] }, timeout: 90s }]')}`,
      'f.yaml',
      context,
    ).documents
    expect(provider?.spec).toMatchObject({
      audiences: ['https://sallyport.example.com'],
      maxTokenAgeSeconds: 3600,
      clockSkewSeconds: 60,
      accessTokens: false,
      insecureHttp: false,
    })
    expect(document?.spec).toMatchObject({
      session: { ttl_seconds: 5400, record_result_bytes: 2048 },
      rules: [{ verdict: 'hold', actions: ['sql.delete'], on: [], approvers: { groups: ['dba'], quorum: 1 }, timeout_seconds: 90 }],
      mask: [],
    })
  })

  it('keeps each document’s own text and line', () => {
    const { documents } = parseDocuments(`# first\n${documentExamples.Group}---\n# second\n${documentExamples.User}`, 'f.yaml', context)
    expect(documents.map(({ name, line }) => [name, line])).toEqual([
      ['backend', 2],
      ['dana', 10],
    ])
    expect(documents[1]?.text).toBe(`# second\n${documentExamples.User}`)
  })

  it.each([
    [
      'an unknown key',
      policy('ruls: []'),
      'f.yaml:7:3: spec.ruls: unknown key "ruls"; known: subjects, targets, session, rules, mask, tests (did you mean "rules"?)',
    ],
    [
      'an unknown key inside a rule',
      policy('rules:\n  - { allow: sql.select, onn: x }'),
      'f.yaml:8:28: spec.rules[0].onn: unknown key "onn"; known: allow, deny, hold, on, matching, when, argv, shell, interactive, approvers, timeout, reason (did you mean "on"?)',
    ],
    [
      'an unknown action',
      policy('rules: [{ deny: sql.slect }]'),
      'f.yaml:7:19: spec.rules[0].deny: unknown action "sql.slect" (did you mean "sql.select"?)',
    ],
    [
      'an action in a list',
      policy('rules: [{ deny: [sql.select, sql.rm] }]'),
      'f.yaml:7:32: spec.rules[0].deny[1]: unknown action "sql.rm"',
    ],
    [
      'an action of another protocol',
      policy('rules: [{ deny: x.run }]').replace('names: [db]', 'protocol: postgres'),
      'postgres has no action "x.run"',
    ],
    [
      'an unknown protocol',
      policy('').replace('names: [db]', 'protocol: postgre'),
      'unknown protocol "postgre"; known: postgres, other (did you mean "postgres"?)',
    ],
    ['an unknown detector', policy('mask: [{ detect: [emial], with: redact }]'), '(did you mean "email"?)'],
    ['a wrong type', policy('session: { ttl: 15 }'), 'f.yaml:7:19: spec.session.ttl: must be a duration such as 15m, 1h30m or 90s'],
    ['a bad duration', policy('session: { ttl: 15min }'), '"15min" is not a duration'],
    ['a duration out of bounds', policy('session: { ttl: 3d }'), 'must be from 1s to 86400s'],
    ['half seconds', policy('session: { idle: 500ms }'), 'must be whole seconds'],
    [
      'a missing key',
      'apiVersion: sallyport.dev/v1\nkind: Policy\nmetadata: { name: p }\nspec: {}\n',
      'f.yaml:4:7: spec.subjects: the key "subjects" is missing',
    ],
    [
      'two verdicts',
      policy('rules: [{ allow: sql.select, deny: sql.delete }]'),
      'a rule can have only one of: allow, deny, hold (it has allow and deny)',
    ],
    ['a hold that nobody can release', policy('rules: [{ hold: sql.select }]'), 'a hold needs approvers'],
    ['approvers of an allow', policy('rules: [{ allow: sql.select, approvers: { groups: [a] } }]'), 'only a hold has approvers'],
    ['a pattern that can’t compile', policy("rules: [{ allow: sql.select, on: 'public.\"x' }]"), 'has an unbalanced double quote'],
    ['a back-reference', policy("rules: [{ allow: sql.select, matching: '(a)\\1' }]"), 'is not an RE2 pattern'],
    [
      'a column pattern that would mask nothing',
      policy('mask: [{ columns: customers.email, with: redact }]'),
      'must name schema, table and column',
    ],
    ['null for a detector', policy('mask: [{ detect: email, with: null }]'), '"null" has no meaning for it'],
    ['targets that say nothing', policy('').replace('{ names: [db] }', '{ labels: {} }'), 'must say which targets'],
    ['an upper-case name', policy('').replace('name: p', 'name: Prod'), 'must be a name'],
    [
      'an unknown apiVersion',
      'apiVersion: sallyport.dev/v2\nkind: Policy\n',
      'f.yaml:1:13: unknown apiVersion "sallyport.dev/v2" (did you mean "sallyport.dev/v1"?)',
    ],
    [
      'an unknown kind',
      'apiVersion: sallyport.dev/v1\nkind: Plicy\n',
      'f.yaml:2:7: unknown kind "Plicy"; known: IdentityProvider, Workload, User, Group, GroupMapping, Target, Policy, Sink, Retention (did you mean "Policy"?)',
    ],
    ['not a map', '- 1\n', 'f.yaml:1:1: a document must be a map'],
    ['a duplicate key', policy('session: {}\nsession: {}'), 'f.yaml:8:3: the key "session" is given twice'],
    ['a key that is not text', policy('1: x'), 'keys must be text'],
    ['__proto__', policy('__proto__: { x: 1 }'), 'keys must be text'],
    ['an alias', 'a: &x [1]\nb: *x\n', 'aliases (*x) are not accepted'],
    ['an anchor', policy('rules: &x []'), 'anchors (&x) are not accepted'],
    ['a tag', policy('rules: !!set {}'), 'tags (!x) are not accepted'],
    ['a foreign tag', policy('rules: !ruby/object {}'), 'tags (!x) are not accepted'],
    ['YAML 1.1', `%YAML 1.1\n---\n${policy('')}`, 'only YAML 1.2 is read'],
    ['a second document of one name', `${policy('')}---\n${policy('')}`, 'the Policy "p" stands twice in this file'],
    ['broken YAML', 'a: [1\nb: 2\n', 'f.yaml:2:1:'],
    [
      'plain http',
      documentExamples.IdentityProvider.replace('https://token.actions.githubusercontent.com', 'http://issuer.example'),
      'must be https',
    ],
    [
      'insecure http elsewhere',
      documentExamples.IdentityProvider.replace('https://token.actions.githubusercontent.com', 'http://issuer.example').replace(
        'spec:',
        'spec:\n  insecureHttp: true',
      ),
      'plain http is accepted on loopback only',
    ],
    ['an HMAC algorithm', documentExamples.IdentityProvider.replace('[RS256]', '[HS256]'), '"HS256" is not one of'],
    [
      'a workload that anyone matches',
      documentExamples.Workload.replace(/match:\n(?: {4}.*\n)+/, 'match: []\n'),
      'every token of the provider would match',
    ],
    [
      'a claim rule without a condition',
      documentExamples.Workload.replace(', equals: "987654"', ''),
      'a claim rule needs one of: equals, in, glob',
    ],
    [
      'a target’s own part',
      documentExamples.Target.replace('host: db.internal', 'hsot: db'),
      'f.yaml:10:5: spec.postgres.host: the host is missing',
    ],
    [
      'a target of two agents',
      documentExamples.Target.replace('protocol: postgres', 'protocol: postgres\n  agent: a'),
      'a target can have only one of: agent, agents',
    ],
    [
      'a target key that is unknown',
      documentExamples.Target.replace('  agents:', '  agentz:'),
      'unknown key "agentz" in a postgres target',
    ],
    [
      'a target of an unknown protocol',
      documentExamples.Target.replace('protocol: postgres', 'protocol: postgrse'),
      'f.yaml:7:13: spec.protocol: unknown protocol "postgrse"',
    ],
  ])('reports %s', (_what, text, expected) => {
    const found = errors(text)
    expect(found.join('\n')).toContain(expected)
    expect(parseDocuments(text, 'f.yaml', context).documents.length).toBeLessThan(2)
  })

  it('reads `on` as a key and `with: null` as the method (YAML 1.2)', () => {
    const { documents, errors: found } = parseDocuments(
      policy('rules: [{ allow: sql.select, on: a.b }]\nmask: [{ names: x, with: null }]'),
      'f',
      context,
    )
    expect(found).toEqual([])
    expect(documents[0]?.spec).toMatchObject({ rules: [{ on: ['a.b'] }], mask: [{ with: 'null' }] })
  })

  it('finds each of several mistakes', () => {
    expect(errors(policy('session: { ttl: x, idel: 5m }\nrules: [{ allow: sql.x }, { alow: y }]')).length).toBeGreaterThanOrEqual(4)
  })

  it('survives bombs', () => {
    for (const text of [
      '['.repeat(100_000),
      '{a: '.repeat(50_000),
      '- '.repeat(100_000),
      'x'.repeat(600_000),
      '\0',
      '\ufeff',
      '---\n'.repeat(3000),
      `a: &a [x]\n${Array.from({ length: 30 }, (_, index) => `b${index}: [*a, *a]`).join('\n')}`,
    ]) {
      const result = parseDocuments(text, 'f', context)
      expect(result.documents).toEqual([])
      expect(result.errors.length).toBeLessThanOrEqual(100)
    }
    const started = performance.now()
    parseDocuments(policy(`rules: []\n${Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join('\n')}`), 'f', context)
    expect(performance.now() - started).toBeLessThan(5000)
  }, 60_000)

  it('never throws, whatever the text or the shape', () => {
    const json = fc.jsonValue({ maxDepth: 4 })
    fc.assert(fc.property(fc.string(), (text) => void parseDocuments(text, 'f', context)))
    fc.assert(
      fc.property(fc.constantFrom(...documentKindNames), json, json, (kind, metadata, spec) => {
        const result = parseDocuments(JSON.stringify({ apiVersion: 'sallyport.dev/v1', kind, metadata, spec }), 'f', context)
        expect(result.documents.length + result.errors.length).toBeGreaterThan(0)
      }),
    )
    const rule = fc.record(
      { allow: json, deny: json, hold: json, on: json, when: json, approvers: json, timeout: json, matching: json },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(rule, json)), json, json, (rules, mask, targets) => {
        const spec = { subjects: [{ user: 'ada' }], targets, rules, mask }
        void parseDocuments(JSON.stringify({ apiVersion: 'sallyport.dev/v1', kind: 'Policy', metadata: { name: 'p' }, spec }), 'f', context)
      }),
    )
  })
})
