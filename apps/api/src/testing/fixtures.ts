import { genesisOf, headOf } from '@sallyport/audit-log'
import { v7 as uuid } from 'uuid'
import type { PrismaClient, Session } from '../generated/prisma/client.js'

/** An enrolled agent. */
export async function makeAgent(prisma: PrismaClient): Promise<string> {
  const id = uuid()
  await prisma.node.create({
    data: { id, kind: 'agent', name: `agent-${id}`, publicKey: new Uint8Array(1), certificateSha256: id, enrolledAt: new Date() },
  })
  return id
}

/** A live session of `shop-ci`, unless told otherwise. */
export function makeSession(prisma: PrismaClient, agentId: string, more: Partial<Session> = {}): Promise<Session> {
  return prisma.session.create({
    data: {
      id: uuid(),
      identityKind: 'workload',
      identity: 'shop-ci',
      claims: { repository: 'acme/shop', run_id: '42', actor: 'octodana' },
      actor: 'octodana',
      target: 'orders-db',
      protocol: 'postgres',
      agentId,
      gatewayId: uuid(),
      clientAddress: '127.0.0.1',
      policyHash: '',
      createdAt: new Date(),
      expiresAt: new Date(Date.now() + 900_000),
      leaseUntil: new Date(Date.now() + 60_000),
      ...more,
    } as Parameters<PrismaClient['session']['create']>[0]['data'], // decoder: a row read back has null where an input has absent
  })
}

/** What was written of each session, in order, by the agent's number of it. */
const chains = new Map<string, Map<number, string>>()

/** A spool record as an agent writes it, in its session's chain. One with a number that is taken stands where the first one stood. */
export function record(seq: number, kind: string, more: { readonly session?: string; readonly [name: string]: unknown }, time = '2026-01-02T03:04:05.678901Z'): Buffer {
  const stamp = `"v":1,"seq":${seq},"time":"${time}"`
  const event = JSON.stringify({ kind, ...more }).slice(1)
  const { session } = more
  if (session === undefined) return Buffer.from(`{${stamp},${event}`)
  const chain = chains.get(session) ?? new Map<number, string>()
  chains.set(session, chain)
  const seqs = [...chain.keys()]
  const index = seqs.includes(seq) ? seqs.indexOf(seq) : seqs.length
  const before = chain.get(seqs[index - 1] ?? -1)
  const text = `{${stamp},"chain":{"n":${index + 1},"prev":"${before === undefined ? genesisOf(session) : headOf(before)}"},${event}`
  if (!chain.has(seq)) chain.set(seq, text)
  return Buffer.from(text)
}

/** A record of a command. */
export function commandRecord(seq: number, session: string, text = 'SELECT * FROM orders', action = 'sql.select', time?: string): Buffer {
  return record(seq, 'command', {
    session,
    command: seq,
    text,
    digest: '0'.repeat(64),
    effects: [{ action, resource: 'public.orders' }],
    decision: { verdict: 'allow', rule: 'p#0', reason: 'r', hint: '' },
  }, time)
}
