import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { parseDocuments } from '../documents/parse.js'
import type { PolicyDocument } from '../documents/kinds.js'
import type { Effect } from '../effect.js'
import type { Rule } from '../rule.js'
import { testTree } from '../testing/tree.js'
import { compileRules } from './decide.js'

const folder = new URL('../cases/', import.meta.url)

const caseFile = z.strictObject({
  cases: z.array(
    z.strictObject({
      name: z.string(),
      text: z.string().optional(),
      effects: z
        .array(
          z.strictObject({
            action: z.string(),
            resource: z.string(),
            implied: z.literal(true).optional(),
            harmless: z.literal(true).optional(),
            details: z.record(z.string(), z.json()).optional(),
          }),
        )
        .optional(),
      expect: z.strictObject({
        verdict: z.enum(['allow', 'deny', 'hold']),
        rule: z.string().optional(),
        reason: z.string().optional(),
        hint: z.string().optional(),
        effect: z.number().optional(),
        timeout: z.number().optional(),
        requirements: z.array(z.string()).optional(),
      }),
    }),
  ),
})

function rulesOf(policy: PolicyDocument): Rule[] {
  return policy.spec.rules.map((rule, index) => ({ ...rule, policy: policy.name, index }))
}

describe.each(readdirSync(folder).filter((file) => file.endsWith('.yaml')))('%s', (file) => {
  const text = readFileSync(new URL(file, folder), 'utf8')
  const [policyText = '', caseText = ''] = text.split('\n---\n')
  const { documents, errors } = parseDocuments(policyText, file, { actionTrees: { test: testTree }, parseTargetSpec: () => ({}) })
  const [policy] = documents
  const [parsed] = parseAllDocuments(caseText)
  const { cases } = caseFile.parse(parsed && 'toJS' in parsed ? parsed.toJS() : undefined)

  it('has a sound policy', () => expect(errors).toEqual([]))

  it.each(cases)('$name', ({ text: command = 'SELECT', effects, expect: wanted }) => {
    if (policy?.kind !== 'Policy') throw new Error('no policy')
    const list = effects?.map((entry): Effect => ({
      action: entry.action,
      resource: entry.resource,
      ...(entry.implied ? { implied: true } : {}),
      ...(entry.harmless ? { harmless: true } : {}),
      ...(entry.details ? { details: entry.details } : {}),
    }))
    const rules = compileRules(rulesOf(policy), testTree)
    const decision = rules.decide(list, command)
    expect(decision.verdict).toBe(wanted.verdict)
    if (wanted.rule !== undefined) expect(decision.rule).toBe(wanted.rule)
    if (wanted.reason !== undefined) expect(decision.reason).toContain(wanted.reason)
    if (wanted.hint !== undefined) expect(decision.hint).toContain(wanted.hint)
    if (wanted.effect !== undefined) expect(decision.effect).toBe(wanted.effect)
    if (wanted.timeout !== undefined) expect(decision.hold?.timeout_seconds).toBe(wanted.timeout)
    if (wanted.requirements) expect(decision.hold?.requirements.map((requirement) => requirement.rule)).toEqual(wanted.requirements)
    // From the cache, and with an explanation: the same.
    expect(rules.decide(list, command)).toEqual(decision)
    expect(rules.explain(list, command).decision).toEqual(decision)
  })
})
