import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Effect } from '../effect.js'
import type { Rule, Verdict } from '../rule.js'
import { effect, testTree } from '../testing/tree.js'
import { RuleError } from './compiled-rule.js'
import { compileRules, decide, explainDecision } from './decide.js'

const context = { text: 'x', actions: testTree }
const dba = { groups: ['dba'], quorum: 1 }

function rule(verdict: Verdict, actions: string | string[], on: string[] = [], more: Partial<Rule> = {}): Rule {
  return { policy: 'p', index: 0, verdict, actions: [actions].flat(), on, ...(verdict === 'hold' ? { approvers: dba } : {}), ...more }
}

const actions = fc.constantFrom(...Object.keys(testTree.actions))
const actionNames = fc.constantFrom('*', 'sql', 'sql.ddl', 'sql.write', 'sql.any', ...Object.keys(testTree.actions))
const resources = fc.constantFrom(
  'public.orders',
  'public.customers',
  'private.x',
  'function public.f',
  'pg_catalog.pg_authid',
  '',
  'public."we.ird"',
  'setting a.b',
)
const patterns = fc.constantFrom(
  '*',
  'public.*',
  'public.orders',
  '*.orders',
  'function *',
  'pg_catalog.*',
  'public.o*s',
  'setting *',
  'public."we.ird"',
)
const anyEffect: fc.Arbitrary<Effect> = fc
  .record({
    action: actions,
    resource: resources,
    sensitive: fc.boolean(),
    mustName: fc.boolean(),
    fact: fc.boolean(),
    implied: fc.boolean(),
    harmless: fc.boolean(),
  })
  .map(({ action, resource, sensitive, mustName, fact, implied, harmless }) => ({
    action,
    resource,
    details: { sensitive, mustName, fact },
    ...(implied ? { implied: true as const } : {}),
    ...(harmless ? { harmless: true as const } : {}),
  }))
const anyRule = (verdict: fc.Arbitrary<Verdict>): fc.Arbitrary<Rule> =>
  fc
    .record({
      verdict,
      actions: fc.array(actionNames, { minLength: 1, maxLength: 3 }),
      on: fc.array(patterns, { maxLength: 2 }),
      when: fc.option(fc.boolean(), { nil: undefined }),
      index: fc.nat(9),
    })
    .map(({ when, ...rest }) => ({
      policy: 'p',
      ...rest,
      ...(rest.verdict === 'hold' ? { approvers: dba } : {}),
      ...(when === undefined ? {} : { when: { fact: when } }),
    }))
const rules = fc.array(anyRule(fc.constantFrom<Verdict>('allow', 'deny', 'hold')), { maxLength: 6 })
const effects = fc.array(anyEffect, { maxLength: 4 })

describe('decide', () => {
  it('a deny rule that reaches an effect always denies, whatever else there is', () => {
    fc.assert(
      fc.property(effects, anyEffect, effects, rules, rules, (before, hit, after, some, others) => {
        const deny = rule('deny', hit.action, ['*'])
        expect(decide([...before, hit, ...after], [...some, deny, ...others], context).verdict).toBe('deny')
      }),
    )
  })

  it('adding an allow rule never turns a rule’s deny or hold into something milder', () => {
    fc.assert(
      fc.property(effects, rules, anyRule(fc.constant('allow')), (list, some, allow) => {
        const before = decide(list, some, context)
        const after = decide(list, [...some, allow], context)
        if (before.verdict === 'deny' && before.rule !== 'default-deny') expect(after.verdict).toBe('deny')
        if (before.verdict === 'hold') expect(after.verdict).toBe('hold')
        if (before.verdict === 'allow') expect(after.verdict).toBe('allow')
      }),
    )
  })

  it('adding a deny or a hold rule never makes a denied command run at once', () => {
    fc.assert(
      fc.property(effects, rules, anyRule(fc.constantFrom<Verdict>('deny', 'hold')), (list, some, restriction) => {
        const before = decide(list, some, context)
        const after = decide(list, [...some, restriction], context)
        if (before.verdict !== 'allow') expect(after.verdict).not.toBe('allow')
      }),
    )
  })

  it('the order of rules has no meaning for the verdict', () => {
    fc.assert(
      fc.property(
        effects,
        rules,
        (list, some) => void expect(decide(list, some.toReversed(), context).verdict).toBe(decide(list, some, context).verdict),
      ),
    )
  })

  it('a command is as strict as its strictest effect, and explaining agrees with deciding', () => {
    fc.assert(
      fc.property(effects, rules, (list, some) => {
        const { decision, perEffect } = explainDecision(list, some, context)
        expect(decide(list, some, context)).toEqual(decision)
        const verdicts = perEffect.map((entry) => entry.verdict)
        if (verdicts.includes('deny')) expect(decision.verdict).toBe('deny')
        else if (list.some((entry) => !entry.implied)) expect(decision.verdict).toBe(verdicts.includes('hold') ? 'hold' : 'allow')
      }),
    )
  })

  it('without rules only harmless and empty commands pass', () => {
    fc.assert(
      fc.property(effects, (list) => {
        const passes = list.every((entry) => entry.harmless || entry.implied) && (list.length === 0 || list.some((entry) => !entry.implied))
        expect(decide(list, [], context).verdict).toBe(passes ? 'allow' : 'deny')
      }),
    )
  })

  it('facts: absent is false, lists are strict for permissions and loose for restrictions', () => {
    const onlyId = [rule('allow', 'sql.select', [], { when: { columns: 'id' } })]
    expect(decide([effect('sql.select', 'a.b', { details: { columns: ['id'] } })], onlyId, context).verdict).toBe('allow')
    expect(decide([effect('sql.select', 'a.b', { details: { columns: ['id', 'ssn'] } })], onlyId, context).verdict).toBe('deny')
    expect(decide([effect('sql.select', 'a.b', { details: { columns: [] } })], onlyId, context).verdict).toBe('deny')
    const noSsn = [rule('allow', 'sql.select'), rule('deny', 'sql.select', [], { when: { columns: 'ssn' } })]
    expect(decide([effect('sql.select', 'a.b', { details: { columns: ['id', 'ssn'] } })], noSsn, context).verdict).toBe('deny')
    const where = [rule('allow', 'sql.delete', [], { when: { missing_where: false } })]
    expect(decide([effect('sql.delete', 'a.b')], where, context).verdict).toBe('allow')
    expect(decide([effect('sql.delete', 'a.b', { details: { missing_where: true } })], where, context).verdict).toBe('deny')
    // A name on Object.prototype is not a fact.
    expect(
      decide([effect('sql.delete', 'a.b', { details: {} })], [rule('allow', 'sql.delete', [], { when: { constructor: true } })], context)
        .verdict,
    ).toBe('deny')
  })

  it('mustName is met by the very name only: not by *, a branch, or an alias', () => {
    const opaque = effect('sql.unknown', '', { details: { mustName: true } })
    for (const name of ['*', 'sql', 'sql.any']) expect(decide([opaque], [rule('allow', name)], context).verdict).toBe('deny')
    expect(decide([opaque], [rule('allow', 'sql.unknown')], context).verdict).toBe('allow')
    expect(decide([opaque], [rule('allow', 'sql.unknown'), rule('hold', '*')], context).verdict).toBe('hold')
    expect(decide([opaque], [rule('hold', '*')], context).verdict).toBe('deny')
  })

  it('restrictions that can’t be enforced stop the session; permissions and other protocols don’t', () => {
    expect(() => compileRules([rule('deny', 'sql.frobnicate')], testTree)).toThrow(RuleError)
    expect(() => compileRules([rule('hold', 'sql.frobnicate')], testTree)).toThrow(RuleError)
    expect(() => compileRules([rule('allow', 'sql.frobnicate'), rule('deny', 'ssh.exec')], testTree)).not.toThrow()
    expect(() => compileRules([rule('allow', 'sql.select', [], { matching: '(' })], testTree)).toThrow(RuleError)
    expect(() => compileRules([rule('allow', 'sql.select', ['a"'])], testTree)).toThrow(RuleError)
  })

  it('a hostile text does not slow a user’s pattern down (K11)', () => {
    const compiled = compileRules([rule('allow', 'sql.select', [], { matching: '^(a+)+$' })], testTree)
    const started = performance.now()
    expect(compiled.decide([effect('sql.select', 'a.b')], 'a'.repeat(30_000) + '!').verdict).toBe('deny')
    expect(performance.now() - started).toBeLessThan(2000)
  })

  it('stays right when the cache is flooded with names', () => {
    const compiled = compileRules([rule('allow', 'sql.select', ['public.*'])], testTree)
    for (let index = 0; index < 5000; index++) {
      expect(compiled.decide([effect('sql.select', `public.t${index}`)], '').verdict).toBe('allow')
      expect(compiled.decide([effect('sql.select', `other.t${index}`)], '').verdict).toBe('deny')
    }
  })

  it('hints name what is possible on the same object', () => {
    const some = [rule('allow', 'sql.select', ['public.*']), rule('hold', ['sql.update'], ['public.orders'], { index: 1 })]
    const { hint } = decide([effect('sql.delete', 'public.orders')], some, context)
    expect(hint).toContain('On this object you may: sql.select.')
    expect(hint).toContain('With approval by 1 person of group dba: sql.update.')
    expect(hint).toContain('Do not retry it or rephrase it')
  })
})
