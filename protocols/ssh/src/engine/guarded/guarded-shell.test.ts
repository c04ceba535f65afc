import { generateKeyPairSync } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { jwsType, SessionGuard, verifyGrant, type AgentEventBody, type GrantPayload, type Permit } from '@sallyport/kit'
import type { Rule } from '@sallyport/policy'
import { loadShell } from '@sallyport/shell'
import fc from 'fast-check'
import { CompactSign } from 'jose'
import type { Client } from 'ssh2'
import { beforeAll, describe, expect, test } from 'vitest'
import { sshDescriptor } from '../../analyse/index.js'
import { shellEffect } from '../../analyse/effects.js'
import type { WireChannel } from '../../wire/wire.js'
import { GuardedShell } from './guarded-shell.js'

const keys = generateKeyPairSync('ed25519')
const sid = '0197a1b2-0000-7000-8000-000000000001'
const rule = (verdict: Rule['verdict'], actions: string[], more: Partial<Rule> = {}): Rule => ({ policy: 'p', index: 0, verdict, actions, on: [], ...more })
const rules = [
  rule('allow', ['ssh.shell'], { shell: 'guarded' }),
  rule('allow', ['ssh.exec'], { argv: ['ls', 'echo ...', 'cd /srv/app', 'cat *'] }),
  rule('allow', ['ssh.exec'], { argv: ['head'], interactive: true }),
  rule('allow', ['ssh.env'], { on: ['GREETING'] }),
]

const entering = /^cd -P -- '(.*)' && pwd -P$/

/** What a target got. Whatever runs there ends at once, unless it is `head`, which ends at `q`. */
class Target {
  readonly ran: string[] = []
  readonly typed: string[] = []

  exec(command: string, _options: unknown, done?: (error: Error | undefined, stream: unknown) => void): void {
    const answer = typeof _options === 'function' ? _options : done
    this.ran.push(command)
    const entered = entering.exec(command)?.[1]
    const stream = Object.assign(new EventEmitter(), {
      stderr: new PassThrough(),
      pause: () => undefined,
      resume: () => undefined,
      close: () => undefined,
      signal: () => undefined,
      setWindow: () => undefined,
      end: () => undefined,
      write: (bytes: Buffer, taken: () => void) => {
        this.typed.push(bytes.toString())
        taken()
        if (bytes.includes('q')) over()
      },
    })
    const over = (): void => {
      stream.emit('exit', 0)
      stream.emit('close')
    }
    setImmediate(() => {
      Reflect.apply(answer ?? (() => undefined), undefined, [undefined, stream])
      if (entered !== undefined) stream.emit('data', Buffer.from(`${entered}\n`))
      if (!command.endsWith('head')) setImmediate(over)
    })
  }

  sftp(done: (error: undefined, sftp: unknown) => void): void {
    const realpath = (path: string, answer: (error: undefined, real: string) => void): void => answer(undefined, path === '.' ? '/home/app' : path.replace('/link', '/srv/app'))
    done(undefined, { realpath, end: () => undefined })
  }
}

interface Setup {
  readonly shell: GuardedShell
  readonly target: Target
  readonly events: AgentEventBody[]
  readonly screen: () => string
  /** All that was typed has come to something. */
  settled(): Promise<void>
  readonly closed: () => boolean
}

async function setup(): Promise<Setup> {
  const now = Math.floor(Date.now() / 1000)
  const payload: GrantPayload = {
    v: 1, sid, version: 1, agent: 'a', iat: now, exp: now + 600, lease: now + 300,
    identity: { kind: 'user', id: 'u', name: 'ann', groups: [], claims: {} },
    target: { id: 't', name: 'web-01', protocol: 'ssh', labels: {}, spec: {} },
    rules, masks: [], approval_url: 'https://s/approvals/',
    terms: { ttl_seconds: 600, idle_seconds: 300, audit: 'spooled', record_result_bytes: 8192, record_terminal_bytes: 100_000, record_input: false, record_parameters: true },
  }
  const jws = await new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'EdDSA', typ: jwsType.grant, kid: 'k' }).sign(keys.privateKey)
  const events: AgentEventBody[] = []
  const append = (event: AgentEventBody) => {
    events.push(event)
    return { seq: events.length } as never
  }
  const guard = new SessionGuard({
    grant: await verifyGrant(jws, new Map([['k', keys.publicKey]]), 'a', now),
    actions: sshDescriptor.actions,
    spool: { append, appendClosing: append, durable: () => Promise.resolve(), room: () => Promise.resolve(), overdue: false, backlogMilliseconds: 0 },
    approvals: { request: () => { throw new Error('nothing is held here') } },
    signal: new AbortController().signal,
  })
  const target = new Target()
  let screen = ''
  let closed = false
  const wire: Pick<WireChannel, 'write' | 'drained' | 'consumed' | 'notify' | 'eof' | 'close'> = {
    write: (bytes) => {
      screen += bytes.toString()
      return true
    },
    drained: () => Promise.resolve(),
    consumed: () => undefined,
    notify: () => undefined,
    eof: () => undefined,
    close: () => {
      closed = true
    },
  }
  const failures: unknown[] = []
  const context = { upstream: target as unknown as Client, guard, login: 'app', target: 'web-01', fatal: (error: unknown) => void failures.push(error) }
  const permit = await guard.submit({ text: 'shell', effects: [shellEffect('app')] })
  if (permit.kind !== 'permit') throw new Error(permit.message)
  const used: Permit = permit
  used.consume()
  const terminal = { type: 'pty', term: 'xterm', modes: {}, columns: 80, rows: 24, width: 0, height: 0 } as const
  const shell = new GuardedShell({ permit: used, wire: wire as WireChannel, context, terminal, environment: new Map() })
  shell.start()
  const settled = async (): Promise<void> => {
    let quiet = 0
    let before = -1
    while (quiet < 4) {
      await new Promise((resolve) => setImmediate(resolve))
      const state = events.length + target.ran.length + screen.length
      quiet = state === before ? quiet + 1 : 0
      before = state
    }
    expect(failures).toEqual([])
  }
  await settled()
  return { shell, target, events, settled, screen: () => screen, closed: () => closed }
}

beforeAll(loadShell)

const lines = ['ls', 'echo hi', 'rm -rf /', 'bash', 'cd /srv/app', 'cd /link', 'cd /etc', 'cat x', 'export GREETING=a', 'export PATH=/tmp', 'alias ls=reboot', 'ls; reboot', 'echo $(reboot)', 'cat <<E', 'E', "echo 'x", "'", 'head', 'exit']
const sent = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...lines) },
    { weight: 5, arbitrary: fc.constantFrom('\r', '\r', '\n', '\u0003', '\u0004', 'q', '\u001b[A', '\u001b[D', '\u007f', '\u0015', '\u001b[200~', '\u001b[201~', '\u001b', '\\\r') },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
  ),
  { maxLength: 40 },
)

/** Whether the target was sent this permitted line: with nothing in front but what is carried over. */
function isThat(command: string, text: string): boolean {
  const entered = entering.exec(command)?.[1]
  if (entered !== undefined) return text === `cd ${entered}`
  return command.endsWith(text) && /^(cd -P -- '\/srv\/app' \|\| exit 1\n)?(export GREETING='[^'\n]*'\n)?$/.test(command.slice(0, command.length - text.length))
}

describe('a guarded shell', () => {
  test('whatever is typed, the target gets only what was permitted, once for each permit', async () => {
    await fc.assert(
      fc.asyncProperty(sent, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), async (pieces, pauses) => {
        const { shell, target, events, settled } = await setup()
        for (const [index, piece] of pieces.entries()) {
          // Byte by byte: UTF-8 and sequences come in halves.
          for (const byte of Buffer.from(piece)) shell.input(Buffer.of(byte))
          if (pauses[index]) await settled()
        }
        await settled()
        shell.abandon()
        const permitted = events.flatMap((event) => (event.kind === 'command' && event.decision.verdict === 'allow' ? [event.text] : []))
        for (const command of target.ran) {
          const at = permitted.findIndex((text) => isThat(command, text))
          expect([command, at]).not.toEqual([command, -1])
          expect(permitted[at]).not.toMatch(/^\s*(?:reboot|rm|bash|alias)\b/)
          permitted.splice(at, 1)
        }
        if (!target.ran.some((command) => command.endsWith('head'))) expect(target.typed).toEqual([])
      }),
      { numRuns: 150 },
    )
  }, 60_000)

  test('a link is decided by where it leads, and entered by that name', async () => {
    const { shell, target, settled } = await setup()
    shell.input(Buffer.from('cd /link\rls\r'))
    await settled()
    expect(target.ran).toEqual(["cd -P -- '/srv/app' && pwd -P", "cd -P -- '/srv/app' || exit 1\nls"])
  })

  test('keys go to a program only while an interactive one runs, and those typed before it do not', async () => {
    const { shell, target, settled, screen } = await setup()
    shell.input(Buffer.from('head\rblind'))
    await settled()
    shell.input(Buffer.from(':q'))
    await settled()
    expect(target.typed).toEqual([':q'])
    shell.input(Buffer.from('reboot\r'))
    await settled()
    expect(target.typed).toEqual([':q'])
    expect(screen()).toContain('no rule allows ssh.exec on reboot')
  })

  test('thousands of empty lines, and a line that grows at its beginning, do no harm', async () => {
    const { shell, target, settled, closed } = await setup()
    shell.input(Buffer.from('\r'.repeat(10_000)))
    await settled()
    shell.input(Buffer.from(`${'x\u0001'.repeat(3000)}\u0003echo fine\r`))
    await settled()
    expect(target.ran).toEqual(['echo fine'])
    shell.input(Buffer.from('\u0004'))
    await settled()
    expect(closed()).toBe(true)
  })
})
