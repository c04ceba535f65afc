import { generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AgentKeys, nodeKeyType } from './agent-keys.js'
import { chainOf, genesisOf, headOf, keyIdOf, sealed, type SessionHead } from './session-chain.js'
import { SessionVerifier, type BadRecord, type StoredRecord } from './session-verifier.js'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const spki = publicKey.export({ type: 'spki', format: 'der' })
const source = 'agent:01'
const sessions = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'] as const

const stamp = (seq: number, chain: string, event: object): string => `{"v":1,"seq":${seq},"time":"2026-01-02T03:04:05.${String(seq).padStart(6, '0')}Z",${chain}${JSON.stringify(event).slice(1)}`

const seal = (record: string): string => sealed(record, (text) => sign('sha256', Buffer.concat([Buffer.from('sallyport-audit-v1\0'), text]), { key: privateKey, dsaEncoding: 'ieee-p1363' }))

/** A log as an agent would write it: two sessions in turns, one checkpoint in the middle, both ends signed. */
function honest(commands: number): StoredRecord[] {
  const log: StoredRecord[] = []
  const heads = new Map<string, { n: number; head: string }>()
  const add = (event: { kind: string; session?: string; heads?: readonly SessionHead[] }): void => {
    const seq = log.length + 1
    const last = event.session === undefined ? undefined : (heads.get(event.session) ?? { n: 0, head: genesisOf(event.session) })
    const plain = stamp(seq, last === undefined ? '' : `"chain":{"n":${last.n + 1},"prev":"${last.head}"},`, event)
    const text = event.heads === undefined ? plain : seal(plain)
    if (event.session !== undefined && last !== undefined) heads.set(event.session, { n: last.n + 1, head: headOf(text) })
    log.push({ position: BigInt(seq), source, kind: event.kind, session: event.session ?? null, seq: BigInt(seq), text })
  }
  const head = (session: string, closed: boolean): SessionHead => ({ session, records: heads.get(session)?.n ?? 0, head: heads.get(session)?.head ?? '', closed })
  const addSigned = (heads: readonly SessionHead[]): void => add({ kind: 'session.signed', heads, ...{ key: keyIdOf(spki) } })
  for (const session of sessions) add({ kind: 'session.start', session })
  for (let index = 0; index < commands; index++) {
    for (const session of sessions) add({ kind: 'command', session })
    if (index === 1) addSigned(sessions.map((session) => head(session, false)))
  }
  for (const session of sessions) {
    add({ kind: 'session.end', session })
    addSigned([head(session, true)])
  }
  return log
}

const control = generateKeyPairSync('ed25519')
const controlKeys: JsonWebKey[] = [control.publicKey.export({ format: 'jwk' })]
const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function enrolled(publicKey: Buffer, node = '01', signedBy = control.privateKey): string {
  const text = `${b64({ alg: 'EdDSA', typ: nodeKeyType })}.${b64({ node, kind: 'agent', public_key: publicKey.toString('base64'), iat: 1 })}`
  return JSON.stringify({ kind: 'node.enrolled', node: '01', node_kind: 'agent', key: `${text}.${sign(null, Buffer.from(text), signedBy).toString('base64url')}` })
}

function keysOf(publicKey: Buffer): AgentKeys {
  const keys = new AgentKeys(controlKeys)
  expect(keys.learn(enrolled(publicKey))).toBeUndefined()
  return keys
}

function verify(log: readonly StoredRecord[], now = 0): { bad: BadRecord | undefined; verifier: SessionVerifier } {
  const verifier = new SessionVerifier(keysOf(spki))
  for (const record of log) {
    const bad = verifier.check(record)
    if (bad !== undefined) return { bad, verifier }
  }
  return { bad: verifier.finish(now).bad, verifier }
}

function raise(): never {
  throw new Error('no such record')
}

/** As somebody would who can write the database: positions, the agent's numbers and links are made to fit again. */
function repaired(log: readonly StoredRecord[], relink: boolean): StoredRecord[] {
  const heads = new Map<string, { n: number; head: string }>()
  return log.map((record, index) => {
    let text = record.text.replace(/"seq":\d+/, `"seq":${index + 1}`)
    const link = chainOf(text)
    if (relink && link !== undefined && record.session !== null) {
      const last = heads.get(record.session) ?? { n: 0, head: genesisOf(record.session) }
      text = text.replace(/"chain":\{[^}]*\}/, `"chain":{"n":${last.n + 1},"prev":"${last.head}"}`)
      heads.set(record.session, { n: last.n + 1, head: headOf(text) })
    }
    return { ...record, position: BigInt(index + 1), seq: BigInt(index + 1), text }
  })
}

test('an honest log is whole, and both sessions are signed', () => {
  const { bad, verifier } = verify(honest(4))
  expect(bad).toBeUndefined()
  expect(verifier.finish(0).counts).toEqual({ signed: 2, lost: 0, open: 0, broken: 0, gaps: 0 })
})

test.each([false, true])('whatever is changed, taken out, moved or doubled shows, also when everything is made to fit again (links too: %s)', (relink) => {
  const change = fc.oneof(
    fc.record({ how: fc.constantFrom('edit' as const, 'delete' as const, 'double' as const), at: fc.nat(14), to: fc.nat(14) }),
    fc.record({ how: fc.constant('move' as const), at: fc.nat(14), to: fc.nat(14) }),
    fc.record({ how: fc.constant('cut' as const), at: fc.nat(14), to: fc.nat(14) }),
  )
  fc.assert(
    fc.property(change, ({ how, at, to }) => {
      const log = honest(4)
      const index = at % log.length
      const record = log[index]
      if (record === undefined) return
      if (how === 'edit') log[index] = { ...record, text: record.text.replace('"kind"', '"by":"evil","kind"') }
      else if (how === 'delete') log.splice(index, 1)
      else if (how === 'double') log.splice((to % log.length) + 1, 0, record)
      else if (how === 'cut') log.splice(index)
      else {
        const [moved] = log.splice(index, 1)
        const other = to % log.length
        // Only among its own session's records does a place mean anything.
        if (other === index || moved === undefined || !log.slice(Math.min(index, other), Math.max(index, other)).some(({ session }) => session === moved.session)) return
        log.splice(other, 0, moved)
      }
      const { bad, verifier } = verify(repaired(log, relink))
      // What is cut off at the end leaves sessions open: the log's own head and the control plane's books tell.
      if (how === 'cut' || (how === 'delete' && index === log.length)) expect(bad !== undefined || verifier.finish(0).counts.signed < 2).toBe(true)
      else expect(bad).toBeDefined()
    }),
    { numRuns: 500 },
  )
})

test('names the record', () => {
  const log = honest(4)
  const edited = log.map((record) => (record.position === 5n ? { ...record, text: record.text.replace('command', 'commanD') } : record))
  expect(verify(edited).bad?.position).toBe('5')
  expect(verify(edited).bad?.problem).toMatch(/^changed: the record is not the one that its agent (wrote|signed)/)
  expect(verify(log.filter(({ position }) => position !== 5n)).bad?.problem).toMatch(/^missing: records 5 to 5 of agent:01/)
  expect(verify([...log.slice(0, 5), ...log.slice(4)]).bad?.problem).toMatch(/^reordered/)
})

test('a session whose grant ran out and that nobody closed', () => {
  const opened: StoredRecord = { position: 1n, source: 'control-plane', kind: 'session.opened', session: sessions[0], seq: null, text: '{"kind":"session.opened","expires_at":"2026-01-01T00:00:00Z"}' }
  const log = [opened, ...honest(1).slice(0, 1).map((record) => ({ ...record, position: 2n }))]
  expect(verify(log, Date.parse('2026-01-01T00:05:00Z')).bad).toBeUndefined()
  expect(verify(log, Date.parse('2026-01-02T00:00:00Z')).bad?.problem).toMatch(/^never closed/)
  const lost: StoredRecord = { position: 3n, source: 'control-plane', kind: 'session.lost', session: sessions[0], seq: null, text: '{}' }
  const { bad, verifier } = verify([...log, lost], Date.parse('2026-01-02T00:00:00Z'))
  expect(bad).toBeUndefined()
  expect(verifier.finish(0).counts.lost).toBe(1)
})

test('a signature covers the time of its record, and has one form', () => {
  const log = honest(1)
  const index = log.findIndex(({ kind }) => kind === 'session.signed')
  const text = log[index]?.text ?? ''
  const last = text.at(-3) ?? ''
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  for (const changed of [text.replace('03:04', '03:05'), `${text.slice(0, -3)}${alphabet[alphabet.indexOf(last) ^ 1] ?? ''}"}`, text.replace('"}', '","more":"x"}')]) {
    expect(verify(log.with(index, { ...(log[index] ?? raise()), text: changed })).bad?.problem).toMatch(/signature does not fit/)
  }
})

test('a signature by another key, or one that cannot be read, is no signature', () => {
  const log = honest(1)
  const other = new SessionVerifier(keysOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })))
  expect(log.map((record) => other.check(record)).find((bad) => bad !== undefined)?.problem).toMatch(/key that is not the one/)
  const broken = log.map((record) => (record.kind === 'session.signed' ? { ...record, text: '{"signature":1}' } : record))
  expect(verify(broken).bad?.problem).toMatch(/can not be read/)
})

test('a key counts only as the control plane has signed it, and for the node that it says', () => {
  const other = generateKeyPairSync('ed25519').privateKey
  for (const [text, problem] of [
    [enrolled(spki, '01', other), /did not sign/],
    [enrolled(spki, '02'), /another node/],
    ['{"kind":"node.enrolled","node":"01"}', /did not sign/],
  ] as const) {
    const keys = new AgentKeys(controlKeys)
    expect(new SessionVerifier(keys).check({ position: 1n, source: 'control-plane', kind: 'node.enrolled', session: null, seq: null, text })?.problem).toMatch(problem)
  }
})

test("a session's trouble is told once, and is not the others'", () => {
  const log = honest(4)
  const at = log.findIndex(({ kind, session }) => kind === 'command' && session === sessions[0])
  const edited = log.map((record, index) => (index === at ? { ...record, text: record.text.replace('command', 'commanD') } : record))
  const verifier = new SessionVerifier(keysOf(spki))
  const problems = edited.flatMap((record) => verifier.check(record) ?? [])
  expect(problems.map(({ session }) => session)).toEqual([sessions[0]])
  expect(verifier.finish(0).counts).toEqual({ signed: 1, lost: 0, open: 0, broken: 1, gaps: 0 })
})

test('records that lost their links are changed, whatever version the agent claims', () => {
  const bare = honest(1).filter(({ kind }) => kind !== 'session.signed').map((record, index) => ({ ...record, seq: BigInt(index + 1), text: record.text.replace(/"chain":\{[^}]*\},/, '') }))
  expect(verify(bare).bad?.problem).toMatch(/no place in the chain/)
})

test('from the middle on, what is given is whole', () => {
  const log = honest(4)
  for (let from = 1; from < log.length; from++) {
    const verifier = new SessionVerifier(keysOf(spki), { part: true })
    expect(log.slice(from).flatMap((record) => verifier.check(record) ?? []), String(from)).toEqual([])
  }
})
