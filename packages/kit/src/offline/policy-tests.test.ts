import { expect, test } from 'vitest'
import type { ProtocolDescriptor } from '../descriptor.js'
import { documentContextOf, parseDocumentFiles } from './document-files.js'
import { runPolicyTests, type PolicyTestResult } from './policy-tests.js'

/** A protocol whose commands are words `action object`, split by `;`. */
const descriptor: ProtocolDescriptor = {
  protocol: 'toy',
  actions: { actions: { 'toy.read': 'reads', 'toy.write': 'writes' }, aliases: {} },
  parseTargetSpec: () => ({}),
  load: () => Promise.resolve(),
  analyse: (text) =>
    text === 'nonsense'
      ? { commands: [], error: 'this means nothing' }
      : {
          commands: text.split(';').map((command) => {
            const [action = '', resource = ''] = command.trim().split(' ')
            return { text: command, effects: [{ action: `toy.${action}`, resource, details: {} }] }
          }),
        },
}

const documentOf = (kind: string, name: string, spec: string, labels = '{}'): string =>
  `---\napiVersion: sallyport.dev/v1\nkind: ${kind}\nmetadata: { name: ${name}, labels: ${labels} }\nspec: ${spec}\n`
const target = (name: string, env: string): string => documentOf('Target', name, '{ protocol: toy, agents: { labels: { site: a } }, toy: {} }', `{ env: ${env} }`)
const user = documentOf('User', 'ada', '{ roles: [member] }')
const policy = (name: string, targets: string, rules: string, tests = ''): string =>
  documentOf('Policy', name, `{ subjects: [{ user: ada }], targets: ${targets}, rules: [${rules}], tests: [${tests}] }`)

function run(text: string, assumeMissing = false): PolicyTestResult[] {
  const { documents, errors } = parseDocumentFiles([{ path: 'x.yaml', text }], documentContextOf([descriptor]))
  expect(errors).toEqual([])
  return runPolicyTests({ documents, descriptors: [descriptor], assumeMissing })
}

const everywhere = '{ protocol: toy }'
const allowAll = '{ allow: [toy.read, toy.write], on: "**" }'

test('a test that names no target is asked on each that the policy selects', () => {
  const tests = '{ as: ada, run: "write things", expect: allow }'
  const set = user + target('calm', 'test') + target('strict', 'prod') + policy('p', everywhere, allowAll, tests)
  expect(run(set)).toMatchObject([{ ok: true, target: 'calm', actual: 'allow', rule: 'p#0' }])
  // Another policy denies it on one of them alone.
  expect(run(set + policy('q', '{ labels: { env: prod } }', '{ deny: toy.write }'))).toMatchObject([{ ok: false, target: 'strict', actual: 'deny', rule: 'q#0' }])
})

test('the strictest command of the text decides; what has no meaning is denied', () => {
  const rules = '{ allow: toy.read, on: "**" }, { hold: toy.write, on: "**", approvers: { groups: [dba] } }'
  const tests = '{ as: ada, run: "read a; write b; read c", expect: hold }, { as: ada, run: nonsense, expect: deny }'
  expect(run(user + target('calm', 'test') + policy('p', everywhere, rules, tests))).toMatchObject([
    { ok: true, actual: 'hold', rule: 'p#1' },
    { ok: true, actual: 'deny', rule: 'unparsable', reason: 'this means nothing' },
  ])
})

test('who or what is missing fails the test, unless a policy is tested on its own', () => {
  const alone = policy('p', '{ names: [calm], protocol: toy }', allowAll, '{ as: ada, run: "read a", expect: allow }')
  expect(run(alone)).toMatchObject([{ ok: false, actual: 'error', reason: 'there is no workload or user "ada"' }])
  expect(run(alone, true)).toMatchObject([{ ok: true, actual: 'allow', target: 'calm' }])
  const elsewhere = user + policy('p', everywhere, allowAll, '{ as: ada, run: "read a", target: gone, expect: allow }')
  expect(run(elsewhere)).toMatchObject([{ ok: false, actual: 'error', reason: 'there is no Target "gone"' }])
})

test('a document that stands in two files is an error with both places', () => {
  const { documents, errors } = parseDocumentFiles([{ path: 'a.yaml', text: user }, { path: 'b.yaml', text: user }], documentContextOf([descriptor]))
  expect(documents).toHaveLength(1)
  expect(errors).toMatchObject([{ path: 'b.yaml', message: 'the User "ada" stands in a.yaml, line 2, too' }])
})
