import { createHash, generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeKeyType } from './agent-keys.js'
import { bundleFormat, PositionsDigest, statementType, verifyBundle, type BundleSubject } from './bundle.js'
import { bodyOf, chainHash, genesis } from './log-chain.js'
import { Frontier, leafHash, nodeHash, proofOf, splitOf } from './merkle.js'
import { genesisOf, headOf, keyIdOf, sealed } from './session-chain.js'
import { checkpointText, noteOf, originOf } from './signed-note.js'

const agentKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const spki = agentKey.publicKey.export({ type: 'spki', format: 'der' })
const control = generateKeyPairSync('ed25519')
const jwk: JsonWebKey = control.publicKey.export({ format: 'jwk' })
const session = '00000000-0000-4000-8000-000000000001'
const other = '00000000-0000-4000-8000-000000000002'
const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const jws = (typ: string, claims: object): string => {
  const text = `${b64({ alg: 'EdDSA', typ })}.${b64(claims)}`
  return `${text}.${sign(null, Buffer.from(text), control.privateKey).toString('base64url')}`
}
const second = (position: number): string => `2026-01-02T03:04:${String(position).padStart(2, '0')}.000000Z`

const shown = Buffer.from('what it showed')
const shownDigest = createHash('sha256').update(shown).digest('hex')

interface Stored {
  readonly prev: Buffer
  readonly hash: Buffer
  readonly body: string
  readonly mine: boolean
}

/** A log of 14 records with two sessions of one agent, and the control plane's own between them. */
function makeLog(): Stored[] {
  const log: Stored[] = []
  const store = (head: object, event: string, mine: boolean): void => {
    const body = bodyOf({ v: 1, id: 'x', received_at: second(log.length + 1), ...head }, event)
    const prev = log.at(-1)?.hash ?? genesis
    log.push({ prev, body, hash: chainHash(prev, BigInt(log.length + 1), body), mine })
  }
  let seq = 0
  const heads = new Map<string, { records: number; head: string }>()
  const record = (of: string, kind: string): void => {
    const { records, head } = heads.get(of) ?? { records: 0, head: genesisOf(of) }
    const text = `{"v":1,"seq":${(seq += 1)},"time":"2026-01-02T03:04:05.000000Z","chain":{"n":${records + 1},"prev":"${head}"},"kind":"${kind}","session":"${of}","note":"ünï"${kind === 'command.end' ? `,"result_sha256":"${shownDigest}"` : ''}}`
    heads.set(of, { records: records + 1, head: headOf(text) })
    store({ source: 'agent:01', seq, kind, session: of }, text, of === session)
  }
  const signed = (of: string): void => {
    const text = JSON.stringify({ v: 1, seq: (seq += 1), time: '2026-01-02T03:04:06.000000Z', kind: 'session.signed', heads: [{ session: of, ...heads.get(of), closed: true }], key: keyIdOf(spki) })
    store({ source: 'agent:01', seq, kind: 'session.signed' }, sealed(text, (bytes) => sign('sha256', Buffer.concat([Buffer.from('sallyport-audit-v1\0'), bytes]), { key: agentKey.privateKey, dsaEncoding: 'ieee-p1363' })), of === session)
  }
  const key = jws(nodeKeyType, { node: '01', kind: 'agent', public_key: spki.toString('base64'), iat: 1 })
  store({ source: 'control-plane', kind: 'document.applied' }, '{"kind":"document.applied"}', false)
  store({ source: 'control-plane', kind: 'node.enrolled' }, JSON.stringify({ kind: 'node.enrolled', node: '01', node_kind: 'agent', key }), true)
  store({ source: 'control-plane', kind: 'session.opened', session }, '{"kind":"session.opened"}', true)
  record(session, 'session.start')
  record(other, 'session.start')
  record(session, 'command')
  store({ source: 'control-plane', kind: 'approval.decided', session }, '{"kind":"approval.decided"}', true)
  record(session, 'command.end')
  record(other, 'session.end')
  signed(other)
  record(session, 'session.end')
  signed(session)
  store({ source: 'control-plane', kind: 'token.created' }, '{"kind":"token.created"}', false)
  store({ source: 'control-plane', kind: 'token.revoked' }, '{"kind":"token.revoked"}', false)
  return log
}

const log = makeLog()

function treeHash(from: number, to: number): Buffer {
  if (to - from === 1) return leafHash(log[from]?.hash ?? Buffer.alloc(0))
  const middle = from + Number(splitOf(BigInt(to - from)))
  return nodeHash(treeHash(from, middle), treeHash(middle, to))
}

async function bundle(subject: BundleSubject, positions: readonly number[], changed: (log: readonly Stored[]) => readonly Stored[] = (same) => same): Promise<string[]> {
  const edge = Frontier.empty()
  for (const { hash } of log) edge.append(leafHash(hash))
  const checkpoint = { origin: originOf(jwk), size: edge.size, root: edge.root(), time: '2026-01-02T03:05:00Z' }
  const digest = new PositionsDigest()
  for (const position of positions) digest.add(BigInt(position))
  const proof: string[] = []
  for await (const part of proofOf(edge.size, positions.map((position) => BigInt(position - 1)), (from, to) => Promise.resolve(treeHash(Number(from), Number(to))))) proof.push(part.toString('base64url'))
  const given = changed(log)
  return [
    { format: bundleFormat, checkpoint: noteOf(checkpoint, jwk, sign(null, Buffer.from(checkpointText(checkpoint)), control.privateKey)), statement: jws(statementType, { ...subject, size: String(edge.size), positions_sha256: digest.hex(), iat: 1 }) },
    { proof },
    ...positions.map((position) => ({ position: String(position), prev: given[position - 1]?.prev.toString('base64url'), body: given[position - 1]?.body, ...(subject.of === 'session' && given[position - 1]?.body.includes('result_sha256') ? { payload: shown.toString('base64') } : {}) })),
  ].map((line) => JSON.stringify(line))
}

const mine = log.flatMap(({ mine: own }, index) => (own ? [index + 1] : []))
const sessionBundle = (): Promise<string[]> => bundle({ of: 'session', session }, mine)
const range: BundleSubject = { of: 'range', from: second(5), to: second(12) }
const rangeBundle = (): Promise<string[]> => bundle(range, [4, 5, 6, 7, 8, 9, 10, 11, 12])

async function* each(lines: readonly string[]): AsyncIterable<string> {
  yield* lines
}

test('a session, with the published keys alone', async () => {
  expect(await verifyBundle(each(await sessionBundle()), [jwk])).toMatchObject({ ok: true, subject: { of: 'session', session }, agents: ['agent:01'], records: mine.length })
})

test('what a session showed is in its bundle, and is what its record names', async () => {
  const lines = await sessionBundle()
  const at = lines.findIndex((line) => line.includes('"payload"'))
  const changed = (from: string, to: string, index = at): string[] => lines.map((line, i) => (i === index ? line.replace(from, to) : line))
  const problem = async (given: readonly string[]): Promise<string | undefined> => (await verifyBundle(each(given), [jwk])).first_bad?.problem
  expect(await problem(lines)).toBeUndefined()
  expect(await problem(changed('"payload":"', '"payload":"AA'))).toBe('changed: what the session showed is not what the record names')
  expect(await problem(changed('"payload":"', '"other":"'))).toBe('missing: what the session showed here')
  expect(await problem(changed('"prev"', '"payload":"","prev"', at - 1))).toBe('changed: the record names nothing that the session showed')
})

test('a range, with one record on either side; at the ends of the log there is none', async () => {
  expect(await verifyBundle(each(await rangeBundle()), [jwk])).toMatchObject({ ok: true, records: 9 })
  const all: BundleSubject = { of: 'range', from: second(0), to: '2027-01-01T00:00:00.000000Z' }
  expect(await verifyBundle(each(await bundle(all, log.map((_, index) => index + 1))), [jwk])).toMatchObject({ ok: true, records: 14 })
})

test('another control plane\'s keys, and none', async () => {
  const foreign = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  for (const given of [[foreign], []]) expect((await verifyBundle(each(await sessionBundle()), given)).first_bad?.problem).toMatch(/checkpoint is not signed/)
})

test('a control plane that leaves records out, or takes too few for a range, is caught by what is signed', async () => {
  expect((await verifyBundle(each(await bundle(range, [6, 7, 8, 9])), [jwk])).first_bad?.problem).toMatch(/do not reach over the whole range/)
  expect((await verifyBundle(each(await bundle(range, [4, 5, 7, 8, 9, 10, 11, 12])), [jwk])).first_bad).toEqual({ position: '7', problem: 'missing: records before this one, behind 5' })
  const command = mine[3] ?? 0
  expect((await verifyBundle(each(await bundle({ of: 'session', session }, mine.filter((position) => position !== command))), [jwk])).first_bad?.problem).toMatch(/^missing: records 2 to 2 of session/)
  expect((await verifyBundle(each(await bundle({ of: 'session', session }, mine.filter((position) => position !== 2))), [jwk])).first_bad?.problem).toMatch(/signed by a key that is not the one/)
  expect((await verifyBundle(each(await bundle({ of: 'session', session }, [...mine, 13])), [jwk])).first_bad).toEqual({ position: '13', problem: 'forked: a record of another session' })
})

test('a record changed names itself, or the file, though the log was chained anew', async () => {
  const edited = await bundle({ of: 'session', session }, mine, (whole) => whole.map((stored, index) => (index === 5 ? { ...stored, body: stored.body.replace('ünï', 'uni') } : stored)))
  expect((await verifyBundle(each(edited), [jwk])).first_bad?.problem).toMatch(/^changed: /)
})

describe.each([['a session', sessionBundle], ['a range', rangeBundle]])('%s', (_name, make) => {
  test('any line edited, taken out, doubled or moved, and any end cut off', async () => {
    const whole = await make()
    const change = fc.record({ how: fc.constantFrom('flip', 'delete', 'double', 'swap', 'cut'), at: fc.nat(whole.length - 1), byte: fc.nat(10_000) })
    await fc.assert(
      fc.asyncProperty(change, async ({ how, at, byte }) => {
        const lines = [...whole]
        const line = lines[at] ?? ''
        if (how === 'flip') {
          const place = byte % line.length
          lines[at] = line.slice(0, place) + String.fromCharCode(line.charCodeAt(place) ^ 1) + line.slice(place + 1)
          // The heads of the statement's signature are not one text only: bits at the end of base64.
          if (at === 0 && parsedAlike(lines[at] ?? '', line)) return
        } else if (how === 'delete') lines.splice(at, 1)
        else if (how === 'double') lines.splice(at, 0, line)
        else if (how === 'cut') lines.splice(at)
        else {
          const next = (at + 1) % lines.length
          lines[at] = lines[next] ?? ''
          lines[next] = line
        }
        expect((await verifyBundle(each(lines), [jwk])).ok, `${how} ${at} ${byte % line.length}`).toBe(false)
      }),
      { numRuns: 600 },
    )
  })
})

/** Whether two first lines say the same: the statement's signature ends in bits that mean nothing. */
function parsedAlike(a: string, b: string): boolean {
  const read = (line: string): string => {
    try {
      const value: { statement?: string; checkpoint?: string; format?: string } = JSON.parse(line)
      const [head = '', payload = '', signature = ''] = (value.statement ?? '').split('.')
      return JSON.stringify([value.format, value.checkpoint, head, payload, Buffer.from(signature, 'base64url').toString('hex')])
    } catch {
      return line
    }
  }
  return read(a) === read(b)
}
