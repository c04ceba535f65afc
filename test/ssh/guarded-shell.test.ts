import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Client } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { hasSshd, policyFor, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'
import { sshAtTerminal } from '../support/terminal.js'

let stack: Stack
let home: SshHome
let folder: string
const login = userInfo().username
const prompt = new RegExp(`${login}@web-01:[^\\n]*\\$ $`)
const clients: Client[] = []

beforeAll(async () => {
  if (!hasSshd) return
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'sallyport-guarded-')))
  mkdirSync(path.join(folder, 'work'))
  mkdirSync(path.join(folder, 'secret'))
  writeFileSync(path.join(folder, 'secret', 'plan'), 'the plan')
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(
    policyFile,
    policyFor('web-01', [
      '{ allow: ssh.shell, shell: guarded }',
      '{ allow: ssh.exec, argv: ["echo ...", "pwd", "sleep *", "cat", "cat *", "ls", "ls *", "printenv *", "stty -a", "wc ...", "sh ./echoes", "false"] }',
      `{ allow: ssh.exec, argv: ["cd ${folder}/work", "cd ${folder}"] }`,
      '{ allow: ssh.exec, argv: ["head -n *"], interactive: true }',
      '{ allow: ssh.env, on: [GREETING] }',
      `{ hold: ssh.exec, argv: ["touch **"], approvers: { groups: [dba] } }`,
    ]),
  )
  stack = await Stack.start({ policyFile })
  home = await SshHome.create(stack)
})

afterAll(async () => {
  for (const client of clients) client.kill('SIGKILL')
  await stack?.stop()
  home?.remove()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

/** A guarded shell with its first prompt. */
async function shell(...args: readonly string[]): Promise<Client> {
  const client = sshAtTerminal(home, args)
  clients.push(client)
  await seen(client, prompt)
  return client
}

/** The screen's text without what moves the cursor and clears. */
const plain = (text: string): string => text.replace(/\u001b\[[?\d;]*[A-Za-z]/g, '')

/** Waits for text on the screen, from some point on. */
function seen(client: Client, pattern: RegExp, from = 0): Promise<string> {
  return eventually(async () => {
    const shown = plain(client.stdout.slice(from))
    return pattern.test(shown) && shown
  }, `${String(pattern)} in ${client.stdout.slice(-1500)}`)
}

/** Types a line, waits for the next prompt; what the terminal showed between. */
async function type(client: Client, line: string, keys = '\r'): Promise<string> {
  const before = client.stdout.length
  client.send(line + keys)
  return after(client, before)
}

async function after(client: Client, before: number): Promise<string> {
  return eventually(async () => {
    const shown = plain(client.stdout.slice(before))
    return shown.includes('\n') && prompt.test(shown) && shown
  }, `a prompt after ${client.stdout.slice(before)}`)
}

async function leave(client: Client): Promise<number> {
  client.send('exit\r')
  return client.exited
}

async function pending(text: string): Promise<string> {
  const found = await eventually(async () => {
    const { body } = await stack.api('GET', '/v1/approvals?state=pending')
    return body.items.find((item: { text: string }) => item.text.includes(text))
  }, 'a pending approval')
  return found.id
}

async function answer(id: string, verdict: 'approve' | 'reject'): Promise<void> {
  expect((await stack.api('POST', `/v1/approvals/${id}/${verdict}`, { reason: 'tested' }, stack.token('dana'))).status).toBeLessThan(300)
}

describe.skipIf(!hasSshd)('a guarded shell', () => {
  test('runs a line that is allowed, refuses one that is not and says why, and ends with the last status', async () => {
    const client = await shell()
    expect(await type(client, 'echo one two')).toContain('\r\none two\r\n')
    const denied = await type(client, `cat ${folder}/secret/plan`)
    expect(denied).toMatch(/Sallyport: no rule allows ssh\.exec on cat.*\r\nRule: default-deny\r\nHint: /)
    expect(denied).not.toContain('the plan')
    await type(client, 'false')
    expect(await leave(client)).toBe(1)
    const texts = await eventually(async () => {
      const found = (await stack.events('kind=command')).map(({ event }) => `${event.decision.verdict} ${event.text}`)
      return found.includes('allow echo one two') && found
    }, 'the lines are on record')
    expect(texts).toEqual(expect.arrayContaining(['allow shell', 'allow echo one two', `deny cat ${folder}/secret/plan`, 'allow false']))
  })

  test('edits what is typed before it is anything', async () => {
    const client = await shell()
    expect(await type(client, 'ecko hello\u001b[D\u001b[D\u001b[D\u001b[D\u001b[D\u001b[D\u001b[D\u007fh\u0005 wörld')).toContain('\r\nhello wörld\r\n')
    expect(await type(client, '\u001b[A')).toContain('\r\nhello wörld\r\n')
    expect(await type(client, 'rm -rf /\u0003')).not.toContain('Sallyport')
    expect(await type(client, 'rm -rf /\u0015echo safe')).toContain('\r\nsafe\r\n')
    expect(await leave(client)).toBe(0)
    expect((await stack.events('kind=command')).some(({ event }) => event.text.includes('rm -rf'))).toBe(false)
  })

  test('carries directory and exported variables over, both decided', async () => {
    const client = await shell()
    expect(await type(client, `cd ${folder}/work`)).toContain(`web-01:${folder}/work$`)
    expect(await type(client, 'pwd')).toContain(`\r\n${folder}/work\r\n`)
    expect(await type(client, 'cd ../secret')).toMatch(/no rule allows ssh\.exec on cd/)
    expect(await type(client, 'cat plan')).not.toContain('the plan')
    expect(await type(client, 'cd $HOME')).toContain('usage: cd')
    expect(await type(client, 'cd ..')).toContain(`web-01:${folder}$`)
    expect(await type(client, 'cd -')).toContain(`web-01:${folder}/work$`)
    expect(await type(client, 'export GREETING="hello there"')).not.toContain('Sallyport')
    expect(await type(client, 'printenv GREETING')).toContain('\r\nhello there\r\n')
    expect(await type(client, 'export PATH=/tmp')).toMatch(/Sallyport: .*ssh\.(env|exec\.opaque)/)
    expect(await type(client, 'export LD_PRELOAD=/tmp/x.so')).toMatch(/Sallyport: /)
    expect(await type(client, 'export BASH_ENV=/tmp/x')).toMatch(/Sallyport: /)
    expect(await type(client, 'echo still')).toContain('\r\nstill\r\n')
    expect(await leave(client)).toBe(0)
  })

  test('takes here-documents, loops and open quotes to their end, as one command', async () => {
    const client = await shell()
    client.send('cat <<E\rline one\r')
    await seen(client, /> line one\r\n/)
    expect(await type(client, 'E')).toContain('\r\nline one\r\n')
    client.send('for i in 1 2\rdo echo n$i\r')
    expect(await type(client, 'done')).toMatch(/n1\r\nn2\r\n/)
    client.send("echo 'a\r")
    expect(await type(client, "b'")).toContain('\r\na\r\nb\r\n')
    client.send('echo <<E\rx\r')
    await seen(client, /> x\r\n/)
    expect(await type(client, '\u0003', '')).toContain('^C')
    client.send('if true; then\r')
    expect(await type(client, 'reboot; fi')).toMatch(/no rule allows ssh\.exec on reboot/)
    expect(await leave(client)).toBe(126)
  })

  test('decides each line of a paste, and throws the rest away after one that did not run', async () => {
    const client = await shell()
    const before = client.stdout.length
    client.send('\u001b[200~echo first\necho second\n\u001b[201~')
    await seen(client, /\r\nsecond\r\n/)
    await after(client, before)
    const denied = client.stdout.length
    client.send('\u001b[200~echo third\nreboot\necho fourth\n\u001b[201~')
    await seen(client, /rest of what was pasted is thrown away/)
    const shown = await after(client, denied)
    expect(shown).toContain('\r\nthird\r\n')
    expect(shown).not.toContain('\r\nfourth\r\n')
    // Plain, as a terminal without the marks sends it.
    client.send('echo fifth\recho sixth\r')
    await seen(client, /\r\nsixth\r\n/)
    expect(await leave(client)).toBe(0)
  })

  test('S6 earlier lines give later ones no other meaning', async () => {
    const client = await shell()
    for (const trick of ['alias echo=reboot', 'echo() { cat /etc/shadow; }', 'eval id', 'bash', 'source ./x', 'set -x', 'exec 3</etc/shadow', 'trap id EXIT', 'python3', 'read x', 'unset PATH', 'vi', '$SHELL', 'e=echo; $e x']) {
      expect([trick, await type(client, trick)]).toEqual([trick, expect.stringMatching(/Sallyport: /)])
    }
    expect(await type(client, 'X=/etc/shadow')).not.toContain('Sallyport')
    expect(await type(client, 'cat $X')).toMatch(/Sallyport: no rule allows/)
    expect(await type(client, 'echo still itself')).toContain('\r\nstill itself\r\n')
    expect(await leave(client)).toBe(0)
  })

  test('what runs has no input, unless a rule makes it interactive', async () => {
    const client = await shell()
    // cat ends at once; what is typed meanwhile is a line like others.
    expect(await type(client, 'cat')).toMatch(/cat\r\n.*\$ $/s)
    const before = client.stdout.length
    client.send('sleep 1\rreboot\r')
    await seen(client, /no rule allows ssh\.exec on reboot/)
    expect(await after(client, before)).toContain('reboot')
    client.send('head -n 2\r')
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const typed = client.stdout.length
    client.send('reboot\rid\r')
    const shown = await after(client, typed)
    expect(shown).not.toContain('Sallyport')
    expect(shown.match(/reboot/g)).toHaveLength(2)
    expect(await leave(client)).toBe(0)
  })

  test('Ctrl-C ends what runs, and Ctrl-D the shell', async () => {
    const client = await shell()
    const before = client.stdout.length
    client.send('sleep 60\r')
    await new Promise((resolve) => setTimeout(resolve, 700))
    client.send('\u0003')
    expect(await after(client, before)).toContain('^C')
    client.send('\u0004')
    expect(await client.exited).toBe(130)
  })

  test('a held line waits, runs after the approval, and takes nothing that was typed meanwhile', async () => {
    const file = path.join(folder, 'touched')
    const client = await shell()
    const before = client.stdout.length
    client.send(`touch ${file}\r`)
    await seen(client, /waits for approval by dba.*\r\nRule: /)
    client.send('echo stray\r')
    const id = await pending(file)
    expect(existsSync(file)).toBe(false)
    await answer(id, 'approve')
    expect(await after(client, before)).not.toContain('\r\nstray\r\n')
    expect(existsSync(file)).toBe(true)
    const other = client.stdout.length
    client.send(`touch ${file}.2\r`)
    const rejected = await pending(`${file}.2`)
    await answer(rejected, 'reject')
    expect(await after(client, other)).toContain('rejected by dana')
    const third = client.stdout.length
    client.send(`touch ${file}.3\r`)
    await pending(`${file}.3`)
    client.send('\u0003')
    expect(await after(client, third)).toMatch(/Sallyport: .*(cancel|withdrawn)/i)
    expect([existsSync(`${file}.2`), existsSync(`${file}.3`)]).toEqual([false, false])
    expect(await leave(client)).toBe(126)
  })

  test('without a terminal there is none, and the text says what to do', async () => {
    const { code, stdout, stderr } = await home.run('ssh', ['-T', 'web-01'], { input: 'echo x\n' })
    expect([code, stdout]).toEqual([126, ''])
    expect(stderr).toContain('ssh TARGET COMMAND')
  })

  test('is recorded as a terminal, and killed while a line runs', async () => {
    const client = await shell()
    client.send('echo before; sleep 60\r')
    await seen(client, /\r\nbefore\r\n/)
    const { body } = await stack.api('GET', '/v1/sessions?state=live&target=web-01')
    const { id } = body.items[0]
    const began = Date.now()
    expect((await stack.api('POST', `/v1/sessions/${id}/kill`, { reason: 'tested' })).status).toBe(204)
    await client.exited
    expect(Date.now() - began).toBeLessThan(4000)
    const cast = await eventually(async () => {
      const response = await fetch(`${stack.line.api.url}/v1/sessions/${id}/recording?command=1`, { headers: { authorization: `Bearer ${stack.line.api.adminToken}` } })
      const text = await response.text()
      return text.includes('before') && text
    }, 'its recording')
    expect(cast).toMatch(/"cols":120,"rows":40/)
    expect(cast).toContain('web-01:~$ ')
  })

  test('policy explain says that it is guarded', async () => {
    const { body } = await stack.api('POST', '/v1/policy/explain', { as: 'shop-ci', target: 'web-01', text: 'ssh.shell' })
    expect(body.decision).toMatchObject({ verdict: 'allow', reason: expect.stringContaining('guarded') })
  })
})
