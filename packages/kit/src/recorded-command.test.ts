import type { Decision, SessionTerms } from '@sallyport/policy'
import { describe, expect, it } from 'vitest'
import { commandDigest, type Command } from './command.js'
import { keepsValues, recordedCommand, recordedResult, recordedText } from './recorded-command.js'

const terms: SessionTerms = { ttl_seconds: 1, idle_seconds: 1, audit: 'spooled', record_result_bytes: 0, record_terminal_bytes: 0, record_input: false, record_parameters: true }
const scope = { session: 's', target: 't', identity: 'i' }
const planted = 'planted-value'
const command: Command = {
  text: `SELECT '${planted}' -- ${planted}`,
  parameters: [planted, null],
  effects: [{ action: 'sql.select', resource: 'public.orders', details: { columns: ['id'], argv: [planted], arguments: planted, missing_where: true } }],
  facts: { portal: planted },
}
const decision: Decision = { verdict: 'deny', rule: 'p#1', reason: `not ${planted}`, hint: `leave ${planted} out` }
const withoutValues = (): string => 'SELECT ?'
const record = (more: Partial<SessionTerms>, shape: () => string | undefined = withoutValues) =>
  recordedCommand(command, decision, undefined, { terms: { ...terms, ...more }, scope, withoutValues: shape, maxTextBytes: 65_536 })

describe('what of a command is recorded', () => {
  it('all of it, when no policy says otherwise', () => {
    expect(record({})).toEqual({ text: command.text, parameters: [planted, null], effects: command.effects, decision, facts: command.facts })
    expect(recordedText(command, { terms })).toBeUndefined()
  })

  it('without parameters: how many there were', () => {
    expect(record({ record_parameters: false })).toMatchObject({ text: command.text, parameters_excluded: 2 })
    expect(record({ record_parameters: false })).not.toHaveProperty('parameters')
  })

  it.each([['normalised', 'SELECT ?'], ['digest', '']] as const)('%s: no value in any field; objects, the rule, and the digest of the exact command stay', (record_statements, text) => {
    const recorded = record({ record_statements })
    expect(JSON.stringify(recorded)).not.toContain(planted)
    expect(recorded).toEqual({
      text, statement_excluded: record_statements, parameters_excluded: 2, digest: commandDigest(command, scope),
      effects: [{ action: 'sql.select', resource: 'public.orders', details: { columns: ['id'], missing_where: true } }],
      decision: { verdict: 'deny', rule: 'p#1', reason: '', hint: '' },
    })
  })

  it('normalised, where the protocol can not tell values apart: nothing of the text', () => {
    expect(record({ record_statements: 'normalised' }, () => undefined).text).toBe('')
    expect(recordedCommand(command, decision, undefined, { terms: { ...terms, record_statements: 'normalised' }, scope, maxTextBytes: 65_536 }).text).toBe('')
  })

  it("ends keep the target's error only where values may stand", () => {
    const end = { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: '22P02', error_message: `invalid: ${planted}` } as const
    expect(recordedResult(end, terms)).toEqual(end)
    for (const more of [{ record_parameters: false }, { record_statements: 'normalised' }, { record_statements: 'digest' }] as const) {
      expect(keepsValues({ ...terms, ...more })).toBe(false)
      expect(JSON.stringify(recordedResult(end, { ...terms, ...more }))).not.toContain(planted)
    }
  })
})
