import { generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bundleFormat, controlDigest, statementType, verifyBundle } from './bundle.js'
import { genesisOf, headOf, keyIdOf, sealed } from './session-chain.js'

const agentKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const spki = agentKey.publicKey.export({ type: 'spki', format: 'der' })
const control = generateKeyPairSync('ed25519')
const keys: JsonWebKey[] = [control.publicKey.export({ format: 'jwk' })]
const session = '00000000-0000-4000-8000-000000000001'
const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function statement(bodies: readonly string[], key = control.privateKey): string {
  const text = `${b64({ alg: 'EdDSA', typ: statementType })}.${b64({ session, agent: 'agent:01', public_key: spki.toString('base64'), control_sha256: controlDigest(bodies), iat: 1 })}`
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`
}

function bundle(): string[] {
  const bodies = ['{"kind":"session.opened"}', '{"kind":"approval.decided"}']
  const lines: object[] = [{ format: bundleFormat, session, statement: statement(bodies) }, ...bodies.map((body) => ({ control: body }))]
  let head = genesisOf(session)
  for (const [index, kind] of ['session.start', 'command', 'command.end', 'session.end'].entries()) {
    const record = `{"v":1,"seq":${index + 7},"time":"2026-01-02T03:04:05.000000Z","chain":{"n":${index + 1},"prev":"${head}"},"kind":"${kind}","session":"${session}","note":"ünï"}`
    head = headOf(record)
    lines.push({ record })
  }
  const heads = [{ session: '00000000-0000-4000-8000-000000000002', records: 9, head, closed: false }, { session, records: 4, head, closed: true }]
  const signed = JSON.stringify({ v: 1, seq: 11, time: '2026-01-02T03:04:06.000000Z', kind: 'session.signed', heads, key: keyIdOf(spki) })
  lines.push({ record: sealed(signed, (text) => sign('sha256', Buffer.concat([Buffer.from('sallyport-audit-v1\0'), text]), { key: agentKey.privateKey, dsaEncoding: 'ieee-p1363' })) })
  return lines.map((line) => JSON.stringify(line))
}

async function* each(lines: readonly string[]): AsyncIterable<string> {
  yield* lines
}

test('a whole bundle, with the published keys alone', async () => {
  expect(await verifyBundle(each(bundle()), keys)).toEqual({ ok: true, session, agent: 'agent:01', records: 4, control: 2 })
})

test('another control plane\'s keys, and none', async () => {
  const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  for (const given of [[other], []]) expect((await verifyBundle(each(bundle()), given)).first_bad).toEqual({ position: '1', problem: "changed: the statement is not signed by one of the control plane's keys that were given" })
})

test('any line edited, taken out, doubled or moved, and any end cut off', async () => {
  const length = bundle().length
  const change = fc.record({ how: fc.constantFrom('flip', 'delete', 'double', 'swap', 'cut'), at: fc.nat(length - 1), byte: fc.nat(10_000) })
  await fc.assert(
    fc.asyncProperty(change, async ({ how, at, byte }) => {
      const lines = bundle()
      const line = lines[at] ?? ''
      if (how === 'flip') {
        const place = byte % line.length
        lines[at] = line.slice(0, place) + String.fromCharCode(line.charCodeAt(place) ^ 1) + line.slice(place + 1)
        // The first line says the session twice, and once in vain.
        if (at === 0) return
      } else if (how === 'delete') lines.splice(at, 1)
      else if (how === 'double') lines.splice(at, 0, line)
      else if (how === 'cut') lines.splice(at)
      else {
        const next = (at + 1) % length
        lines[at] = lines[next] ?? ''
        lines[next] = line
        // Whether the control plane's events stand in front or behind means nothing.
        if (at === 2) return
      }
      expect((await verifyBundle(each(lines), keys)).ok, `${how} ${at}`).toBe(false)
    }),
    { numRuns: 600 },
  )
})
