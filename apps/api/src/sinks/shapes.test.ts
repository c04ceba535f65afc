import type { AgentEventBody } from '@sallyport/kit'
import { shapeEvent, type MaskKeys, type StoredEvent } from '@sallyport/sinks'
import { describe, expect, it } from 'vitest'
import type { ControlPlaneEventBody } from '../audit/events.js'
import { prepareControlEvent, prepareRecord, readRecord, type SessionFacts } from '../audit/prepare.js'
import { ocsfProblems } from './ocsf/validate.js'

const session = '0190aaaa-0000-7000-8000-000000000001'
const keys: MaskKeys = { statement: new Uint8Array(32).fill(1), identity: new Uint8Array(32).fill(2) }
const keepAll = { statement: 'full', parameters: 'keep', results: 'keep', identity: 'keep' } as const
const hidden = { statement: 'digest', parameters: 'remove', results: 'remove', identity: 'pseudonym' } as const
const identity = { kind: 'workload', name: 'secret-name', groups: ['ci'] } as const
const facts: SessionFacts = { agentId: 'a1', identityKind: 'workload', identity: 'secret-name', groups: ['ci'], claims: { actor: 'secret-actor' }, actor: null, target: 'orders-db' }
const effects = [{ action: 'sql.select', resource: 'public.orders', details: { columns: ['id'], value: 'secret-detail', missing_where: true } }]

/** One of every kind: a new kind doesn't compile until it stands here. */
const control: { readonly [K in ControlPlaneEventBody['kind']]: Extract<ControlPlaneEventBody, { kind: K }> | (ControlPlaneEventBody & { kind: K }) } = {
  'auth.succeeded': { kind: 'auth.succeeded', identity, method: 'oidc_token', target: 'orders-db', client_address: '192.0.2.7:5111', claims: { actor: 'secret-actor' } },
  'auth.failed': { kind: 'auth.failed', method: 'credential', user: 'secret-name', client_address: '[2001:db8::1]:99', code: 'BAD', reason: 'no such credential' },
  'credential.issued': { kind: 'credential.issued', credential: 'c1', identity, target: 'orders-db', expires_at: '2026-01-01T00:00:00Z', single_use: true },
  'credential.revoked': { kind: 'credential.revoked', credential: 'c1', identity, target: 'orders-db', by: 'secret-name', reason: 'asked by secret-name' },
  'session.opened': { kind: 'session.opened', session, identity, target: 'orders-db', protocol: 'postgres', agent: 'a1', gateway: 'g1', client_address: '192.0.2.7', policy_hash: 'h', expires_at: '2026-01-01T00:00:00Z', actor: 'secret-actor' },
  'session.refused': { kind: 'session.refused', client_address: '192.0.2.7', code: 'NO_POLICY', reason: 'no policy' },
  'session.killed': { kind: 'session.killed', session, by: 'secret-name', reason: 'secret-name was seen' },
  'session.lost': { kind: 'session.lost', session, reason: 'silent' },
  'session.viewed': { kind: 'session.viewed', session, by: 'secret-name', how: 'replay', command_viewed: 2 },
  'approval.requested': { kind: 'approval.requested', approval: 'p1', session, command: `${session}/1`, digest: 'd'.repeat(64), text: "DELETE FROM t WHERE x='secret-value'", effects, requirements: [], expires_at: '2026-01-01T00:00:00Z' },
  'approval.voted': { kind: 'approval.voted', approval: 'p1', session, command: `${session}/1`, by: 'secret-name', verdict: 'approve', groups: ['dba'], reason: 'for secret-name' },
  'approval.decided': { kind: 'approval.decided', approval: 'p1', session, command: `${session}/1`, digest: 'd', verdict: 'approved', reviewers: ['secret-name'], reason: '' },
  'approval.escalated': { kind: 'approval.escalated', approval: 'p1', session, command: '1', rules: ['p#0'], groups: ['leads'] },
  'approval.commented': { kind: 'approval.commented', approval: 'p1', session, command: '1', by: 'secret-name', message: 'asked secret-name about it' },
  'approval.remembered': { kind: 'approval.remembered', approval: 'p1', session, command: '1', scope: 'session', reviewers: ['secret-name'], expires_at: '2026-01-01T00:00:00Z' },
  'approval.reused': { kind: 'approval.reused', approval: 'p2', rests_on: 'p1', scope: 'command', session, command: '2', digest: 'd', reviewers: ['secret-name'] },
  'approval.forgotten': { kind: 'approval.forgotten', approval: 'p1', by: 'secret-name', reason: 'secret-name left', uses: 2 },
  'document.applied': { kind: 'document.applied', by: 'secret-name', version: 'v9', changes: [{ kind: 'User', name: 'secret-name', action: 'create', version: 1 }] },
  'node.enrolled': { kind: 'node.enrolled', node: 'n1', node_kind: 'agent', name: 'agent-1' },
  'node.rekeyed': { kind: 'node.rekeyed', node: 'n1', node_kind: 'agent', name: 'agent-1', key: 'a.b.c' },
  'audit.checkpoint': { kind: 'audit.checkpoint', size: '12', root: 'f'.repeat(64), note: 'log\n12\n' },
  'audit.deleted': { kind: 'audit.deleted', run: 'r1', class: 'commands', document: 'default', count: 3, first: '4', last: '9', bytes: 700, statement: 'a.b.c' },
  'user.signed_in': { kind: 'user.signed_in', user: 'secret-name', provider: 'okta', web_session: 'w1', client_address: '192.0.2.7', groups: ['dba'], roles: ['reviewer'] },
  'user.signed_out': { kind: 'user.signed_out', user: 'secret-name', web_session: 'w1', by: 'secret-name', reason: 'ended' },
  'user.gone': { kind: 'user.gone', user: 'secret-name', provider: 'okta', reason: 'the provider refuses' },
  'privacy.erased': { kind: 'privacy.erased', persons: ['0190aaaa-0000-7000-8000-0000000000aa'], identifiers: 3, by: 'secret-name', reason: 'secret-word' },
  'hold.created': { kind: 'hold.created', hold: 'h1', by: 'secret-name', reason: 'about secret-name', held_identity: 'secret-name' },
  'hold.released': { kind: 'hold.released', hold: 'h1', by: 'secret-name', reason: 'about secret-name' },
  'lock.created': { kind: 'lock.created', lock: 'l1', locked: 'user', identity: { kind: 'user', name: 'secret-name' }, by: 'secret-name', reason: 'secret-name acts strangely' },
  'lock.released': { kind: 'lock.released', lock: 'l1', locked: 'target', target: 'orders-db', by: 'secret-name', reason: 'secret-name is back' },
  'search.saved': { kind: 'search.saved', by: 'secret-name', name: 'denied', shared: true },
  'search.deleted': { kind: 'search.deleted', by: 'secret-name', name: 'denied', shared: true },
  'audit.exported': { kind: 'audit.exported', by: 'secret-name', format: 'csv', query: { who: 'secret-name' } },
  'node.connected': { kind: 'node.connected', node: 'n1', node_kind: 'agent', name: 'agent-1' },
  'node.disconnected': { kind: 'node.disconnected', node: 'n1', node_kind: 'agent', name: 'agent-1' },
  'node.revoked': { kind: 'node.revoked', node: 'n1', node_kind: 'agent', name: 'agent-1', by: 'secret-name' },
  'token.created': { kind: 'token.created', token: 't1', user: 'secret-name', name: 'secret-name laptop', by: 'secret-name' },
  'token.revoked': { kind: 'token.revoked', token: 't1', user: 'secret-name', by: 'secret-name' },
  'sink.failing': { kind: 'sink.failing', sink: 'siem', code: 'HTTP_503', reason: 'r', failing_since: '2026-01-01T00:00:00Z' },
  'sink.recovered': { kind: 'sink.recovered', sink: 'siem' },
  'sink.dead_letter': { kind: 'sink.dead_letter', sink: 'siem', code: 'HTTP_400', reason: 'r', position: '4' },
  'sink.retried': { kind: 'sink.retried', sink: 'siem', by: 'secret-name', count: 2 },
  'sink.tested': { kind: 'sink.tested', sink: 'siem', by: 'secret-name', ok: true },
  alert: { kind: 'alert', code: 'AGENT_TWICE', message: 'look at secret-name', session, identity, detail: { peer: 'secret-name' } },
}

const decision = { verdict: 'deny', rule: 'p#0', reason: 'near "secret-value"', hint: 'secret-value', effects: [] } as const
type AgentSample = { readonly [K in AgentEventBody['kind']]: object }
const agent: AgentSample = {
  'session.start': { session, parameters: { user: 'secret-name', application_name: 'secret-name' } },
  'session.end': { session, reason: 'client_closed', commands: 1 },
  command: { session, command: 1, text: "SELECT * FROM orders WHERE ssn='secret-value'", parameters: ['secret-parameter'], digest: 'a'.repeat(64), effects, decision, facts: { portal: 'secret-value' } },
  'command.held': { session, command: 1, approval: 'p1' },
  'command.released': { session, command: 1, approval: 'p1', verdict: 'approved', reviewers: ['secret-name'], reason: 'by secret-name' },
  'command.end': { session, command: 1, status: 'error', rows: 1, bytes: 2, duration_us: 1500, masked: 0, error_code: '22P02', error_message: 'invalid input "secret-value"', result: { columns: ['a'], rows: [['secret-result']], truncated: false } },
  recording: { session, command: 1, first: 0, chunks: [{ t_us: 1, s: 'o', d: 'secret-result' }] },
  'session.signed': { heads: [{ session, records: 4, head: 'h'.repeat(43), closed: true }], key: 'k'.repeat(43), signature: 's'.repeat(86) },
  gap: { session, audit: 'best_effort', first_command: 2, last_command: 4, from: '2026-01-02T03:04:05.123Z', to: '2026-01-02T03:04:06.123Z', missing: { command: 3 }, reason: 'full', certain: true },
  'agent.start': { version: '1.0.0' },
  'agent.stop': { version: '1.0.0' },
}

const now = '2026-01-02T03:04:05.678000Z'
const time = '2026-01-02T03:04:05.123456Z'
const samples: (readonly [string, StoredEvent])[] = [
  ...Object.entries(control).map(([kind, event], i) => [kind, { position: BigInt(i + 1), body: prepareControlEvent(event, facts, now).body }] as const),
  ...['postgres', 'ssh', 'kubernetes'].flatMap((protocol) =>
    Object.entries(agent).map(([kind, more], i) => {
      const record = readRecord(Buffer.from(JSON.stringify({ v: 1, seq: i + 1, time, kind, ...more })), BigInt(i + 1))
      const body = prepareRecord('a1', BigInt(i + 1), record, new Map([[session, facts]]), now).body
      return [`${protocol} ${kind}`, { position: BigInt(1000 + i), body, ...('session' in more ? { session: { protocol, clientAddress: '192.0.2.9:4000' } } : {}) }] as const
    }),
  ),
  ['SSH exec', commandOf('ssh', 'ssh.exec', 'rm -rf /tmp/x')],
  ['kubectl delete', commandOf('kubernetes', 'k8s.delete', 'DELETE /api/v1/pods/x')],
  ['bad record', { position: 9n, body: prepareRecord('a1', 3n, readRecord(Buffer.from('{"text":"secret-value"}'), 3n), new Map(), now).body }],
]

function commandOf(protocol: string, action: string, text: string): StoredEvent {
  const record = readRecord(Buffer.from(JSON.stringify({ v: 1, seq: 1, time, kind: 'command', session, command: 1, text, effects: [{ action, resource: 'x', details: { argv: ['secret-value'] } }], decision: { ...decision, verdict: 'hold' } })), 1n)
  return { position: 1n, body: prepareRecord('a1', 1n, record, new Map([[session, facts]]), now).body, session: { protocol, clientAddress: '192.0.2.9' } }
}

describe('OCSF 1.5.0', () => {
  it.each(samples)('%s conforms to the published schema', (_kind, stored) => {
    for (const mask of [keepAll, hidden]) expect(ocsfProblems(JSON.parse(shapeEvent(stored, { shape: 'ocsf', mask, keys }).json))).toEqual([])
  })

  it('is checked by a validator that finds what is wrong', () => {
    const good: Record<string, unknown> = JSON.parse(shapeEvent(commandOf('postgres', 'sql.select', 'SELECT 1'), { shape: 'ocsf', mask: keepAll, keys }).json)
    expect(ocsfProblems(good)).toEqual([])
    expect(ocsfProblems({ ...good, severity_id: 42 })).toEqual(['severity_id is 42, which the schema does not list'])
    expect(ocsfProblems({ ...good, severity: 'Fatal' })).toEqual(['severity_id is Low, but severity says "Fatal"'])
    expect(ocsfProblems({ ...good, invented: 1 })).toEqual(['invented is not an attribute here'])
    expect(ocsfProblems({ ...good, database: undefined, actor: {}, time: '2026' })).toHaveLength(4)
    const { actor: _, ...without } = good
    expect(ocsfProblems(without)).toEqual(['actor is required'])
  })
})

describe('masks', () => {
  it.each(samples)('nothing that a sink must not get is left in %s, in any shape', (_kind, stored) => {
    for (const shape of ['native', 'ocsf', 'ecs'] as const) expect(JSON.stringify({ ...shapeEvent(stored, { shape, mask: hidden, keys }), position: '' })).not.toContain('secret')
    const light = shapeEvent(stored, { shape: 'native', mask: { ...hidden, statement: 'without_parameters', identity: 'keep' }, keys }).json
    for (const word of ['secret-value', 'secret-parameter', 'secret-result', 'secret-detail']) expect(light).not.toContain(word)
  })

  it('hands the stored text on byte for byte where nothing is masked', () => {
    for (const [, stored] of samples) {
      const { json } = shapeEvent(stored, { shape: 'native', mask: keepAll, keys })
      expect(json).toBe(`{"position":"${stored.position}",${stored.body.slice(1)}`)
      JSON.parse(json)
    }
  })
})

describe('ECS', () => {
  const categories = new Set(['api', 'authentication', 'configuration', 'database', 'iam', 'intrusion_detection', 'process', 'session'])
  const types = new Set(['access', 'allowed', 'change', 'creation', 'deletion', 'denied', 'end', 'info', 'start'])
  it.each(samples)('%s has the allowed values and one type per field', (_kind, stored) => {
    const { '@timestamp': at, event, ecs, sallyport } = JSON.parse(shapeEvent(stored, { shape: 'ecs', mask: keepAll, keys }).json)
    expect(Date.parse(at)).toBeGreaterThan(0)
    expect(ecs.version).toBe('8.17.0')
    for (const category of event.category) expect(categories).toContain(category)
    for (const type of event.type) expect(types).toContain(type)
    expect(['success', 'failure', 'unknown']).toContain(event.outcome)
    for (const value of Object.values(sallyport)) expect(['string', 'number', 'object']).toContain(typeof value)
    if (sallyport.command !== undefined) expect(typeof sallyport.command).toBe('number')
  })
})
