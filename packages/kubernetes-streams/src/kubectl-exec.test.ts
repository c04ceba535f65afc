import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RemoteCommandServer, TerminalSize } from './faces.js'
import { serveRemoteCommand } from './open.js'
import { requestedStreams } from './query.js'
import { exitStatus, failureStatus } from './status.js'
import { TestCluster } from './testing/cluster.js'
import { runHostCommand } from './testing/host-command.js'
import { environment, haveKubectl, KUBECTL, run, type Transport } from './testing/kubectl.js'

/** The real client: skipped by name where it isn't installed. */
describe.skipIf(!haveKubectl).each<Transport>(['websocket', 'spdy'])('kubectl over %s', (transport) => {
  let cluster: TestCluster
  let folder: string
  let handle: (session: RemoteCommandServer, command: readonly string[]) => Promise<unknown> = runHostCommand
  let sessions: RemoteCommandServer[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-kubectl-'))
    cluster = await TestCluster.start()
    cluster.serve((taken) => {
      const requested = requestedStreams(taken.query)
      if (!requested) throw new Error(`unreadable query ${taken.query.toString()}`)
      expect(taken.upgrade.transport).toBe(transport)
      serveRemoteCommand(taken, requested).then(
        (session) => {
          sessions.push(session)
          void handle(session, taken.query.getAll('command'))
        },
        (error: unknown) => expect.fail(String(error)),
      )
    })
  })
  afterAll(() => {
    cluster.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  function kubectl(args: readonly string[], input?: Buffer | string): ReturnType<typeof run> {
    handle = runHostCommand
    sessions = []
    return run(KUBECTL, args, environment(cluster.kubeconfig, transport), input)
  }

  it('runs a command: output, errors, exit code', async () => {
    const ran = await kubectl(['exec', 'web', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'])
    expect(ran.stdout.toString()).toBe('out\n')
    expect(ran.stderr).toContain('err\n')
    expect(ran.stderr).toContain('command terminated with exit code 7')
    expect(ran.code).toBe(7)
    await expect(sessions[0]?.closed).resolves.toBeUndefined()
  })

  it('passes stdin to its end', async () => {
    const input = Buffer.alloc(3_000_000, 'stdin carries this ')
    const ran = await kubectl(['exec', '-i', 'web', '--', 'cat'], input)
    expect(ran.code, ran.stderr).toBe(0)
    expect(ran.stdout.equals(input)).toBe(true)
  })

  it('ends when the command ends before its stdin does', async () => {
    const ran = await kubectl(['exec', '-i', 'web', '--', 'sh', '-c', 'head -c 5; exit 3'], Buffer.alloc(5_000_000, 'abcde'))
    expect(ran.stdout.toString()).toBe('abcde')
    expect(ran.code, ran.stderr).toBe(3)
  })

  it('carries 100 MB of output with flat memory', async () => {
    handle = runHostCommand
    const before = process.memoryUsage().rss
    let most = before
    const sampling = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 20)
    const pipe = `${KUBECTL} exec web -- head -c 100000000 /dev/zero | wc -c`
    const ran = await run('/bin/sh', ['-c', pipe], environment(cluster.kubeconfig, transport))
    clearInterval(sampling)
    expect(ran.stdout.toString().trim()).toBe('100000000')
    expect(most - before).toBeLessThan(80_000_000)
  })

  it('prints the message of a refusal', async () => {
    const running = kubectl(['exec', 'web', '--', 'true'])
    handle = (session) => session.finish(failureStatus('denied by rule no-exec', 'Forbidden', 403))
    const ran = await running
    expect(ran.code).toBe(1)
    expect(ran.stderr).toContain('denied by rule no-exec')
  })

  it('gives a terminal and its sizes', async () => {
    const sizes: TerminalSize[] = []
    const command = `stty rows 31 cols 101; ${KUBECTL} exec -it web -- sh`
    const running = run('/usr/bin/script', ['-qec', command, '/dev/null'], environment(cluster.kubeconfig, transport), 'hello\n')
    handle = async (session) => {
      expect(session.requested).toEqual({ stdin: true, stdout: true, stderr: false, tty: true })
      session.resizes?.on('data', (size: TerminalSize) => sizes.push(size))
      session.stdin?.once('data', (typed: Buffer) => {
        session.stdout?.write(`typed ${JSON.stringify(typed.toString())}\r\n`)
        setTimeout(() => void session.finish(exitStatus(4)), 200)
      })
    }
    const ran = await running
    expect(ran.stdout.toString()).toContain('typed "hello')
    expect(ran.code).toBe(4)
    expect(sizes[0]).toEqual({ width: 101, height: 31 })
  })

  it('attaches', async () => {
    const running = kubectl(['attach', '-i', 'web'], 'to the running one\n')
    handle = (session) => runHostCommand(session, ['head', '-n', '1'])
    const ran = await running
    expect(ran.stdout.toString()).toContain('to the running one\n')
    expect(ran.code, ran.stderr).toBe(0)
  })

  it('copies a file there and back', async () => {
    const content = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i * 7919) & 0xff))
    writeFileSync(join(folder, 'there.bin'), content)
    const put = await kubectl(['cp', join(folder, 'there.bin'), `web:${folder}/copied.bin`])
    expect(put.code, put.stderr).toBe(0)
    const got = await kubectl(['cp', `web:${folder}/copied.bin`, join(folder, 'back.bin')])
    expect(got.code, got.stderr).toBe(0)
    expect(readFileSync(join(folder, 'back.bin')).equals(content)).toBe(true)
  })

  it('takes an aborted session for an error and prints the reason', async () => {
    const running = kubectl(['exec', 'web', '--', 'true'])
    handle = async (session) => session.abort()
    const ran = await running
    expect(ran.code).toBe(1)
    expect(ran.stderr).toContain('the session was ended')
    const reason = await sessions[0]?.closed
    expect(reason?.code).toBe('ABORTED')
  })
})
