import { readFileSync } from 'node:fs'
import path from 'node:path'
import { documentContextOf, parseDocumentFiles, runPolicyTests, simulate, type Simulation } from '@sallyport/kit'
import { beforeAll, describe, expect, test } from 'vitest'
import { sshDescriptor } from './index.js'

const file = path.resolve(import.meta.dirname, '../../../../examples/policies/ai-agent-ssh.yaml')
const { documents, errors } = parseDocumentFiles([{ path: 'ai-agent-ssh.yaml', text: readFileSync(file, 'utf8') }], documentContextOf([sshDescriptor]))

beforeAll(() => sshDescriptor.load())

function decide(line: string): Simulation {
  return simulate(documents, { kind: 'workload', name: 'ai-agent', groups: [] }, { name: 'web-07', protocol: 'ssh', labels: { agents: 'allowed' } }, line, [sshDescriptor])
}

const effectsOf = (simulation: Simulation): string[] =>
  simulation.commands.flatMap(({ effects }) => effects.map(({ action, resource }) => [action.replace('ssh.', ''), resource].filter((part) => part !== '').join(' ')))

/** A line, and every effect that must come out of it; all of them are denied under the starter policy. */
const evasions: readonly (readonly [line: string, ...effects: string[]])[] = [
  ['c""at /etc/shadow', 'exec cat'],
  ['c\\at /etc/shadow', 'exec cat'],
  ["'c'at /etc/shadow", 'exec cat'],
  ["$'\\x63\\x61\\x74' /etc/shadow", 'exec cat', 'exec $\\x63\\x61\\x74', 'exec.opaque', 'exec.opaque'],
  ["$'\\143at' /etc/shadow", 'exec cat', 'exec $\\143at', 'exec.opaque', 'exec.opaque'],
  ['cat$IFS/etc/shadow', 'exec.opaque'],
  ['cat${IFS}/etc/shadow', 'exec.opaque'],
  ['IFS=,;c=cat,/etc/shadow;$c', 'exec.opaque', 'exec.opaque'],
  ['{cat,/etc/shadow}', 'exec cat', 'exec {cat,/etc/shadow}', 'exec.opaque'],
  ['/bin/c?t /etc/shadow', 'exec.opaque'],
  ['/bin/[c]at /etc/shadow', 'exec.opaque'],
  ['/???/cat /etc/shadow', 'exec.opaque'],
  ['cat /srv/app/../../etc/shadow', 'exec cat'],
  ['cat /srv/app/./../../etc/shadow', 'exec cat'],
  ['cat /srv/app/$X', 'exec cat'],
  ['cat /srv/app/*', 'exec cat'],
  ['cat /srv/app/x /etc/shadow', 'exec cat'],
  ['cat < /etc/shadow', 'exec cat', 'redirect.read /etc/shadow'],
  ['cat /srv/app/x > /etc/cron.d/x', 'exec cat', 'redirect.write /etc/cron.d/x'],
  ['cat /srv/app/x >> /root/.ssh/authorized_keys', 'exec cat', 'redirect.write /root/.ssh/authorized_keys'],
  ['cat /srv/app/x | tee /etc/passwd', 'exec cat', 'exec tee', 'redirect.write /etc/passwd'],
  ['$(echo cat) /etc/shadow', 'exec echo', 'exec.opaque'],
  ['`echo cat` /etc/shadow', 'exec echo', 'exec.opaque'],
  ['uptime $(cat /etc/shadow)', 'exec cat', 'exec uptime'],
  ['uptime "$(reboot)"', 'exec reboot', 'exec uptime'],
  ['uptime `reboot`', 'exec reboot', 'exec uptime'],
  ['cat <(cat /etc/shadow)', 'exec cat', 'exec cat', 'exec.opaque', 'exec.opaque'],
  ['a=cat; $a /etc/shadow', 'exec.opaque'],
  ['a=c;b=at;$a$b /etc/shadow', 'exec.opaque'],
  ['alias uptime=reboot; uptime', 'exec alias', 'exec uptime', 'exec.opaque'],
  ['uptime() { reboot; }; uptime', 'exec reboot', 'exec uptime', 'exec.opaque'],
  ['eval "reboot"', 'exec eval', 'exec.opaque'],
  ['eval $(echo cmVib290 | base64 -d)', 'exec echo', 'exec base64', 'exec eval', 'exec.opaque'],
  ['echo cmVib290 | base64 -d | sh', 'exec echo', 'exec base64', 'exec sh', 'exec.opaque'],
  ["printf '\\162\\145\\142\\157\\157\\164' | bash", 'exec printf', 'exec bash', 'exec.opaque'],
  ['sh <<< reboot', 'exec reboot', 'exec.opaque', 'exec.opaque'],
  ['sh -c "$CMD"', 'exec sh', 'exec.opaque'],
  ["sh -c 'reboot'", 'exec reboot'],
  ["bash -c 'cat /etc/shadow'", 'exec cat'],
  ['exec reboot', 'exec reboot'],
  ['exec 3<>/dev/tcp/10.0.0.1/80', 'exec exec', 'exec.opaque'],
  ['uptime & reboot', 'exec uptime', 'exec reboot'],
  ['uptime && reboot', 'exec uptime', 'exec reboot'],
  ['uptime || reboot', 'exec uptime', 'exec reboot'],
  ['uptime | reboot', 'exec uptime', 'exec reboot'],
  ['uptime; reboot', 'exec uptime', 'exec reboot'],
  ['(reboot)', 'exec reboot'],
  ['if true; then reboot; fi', 'exec true', 'exec reboot'],
  ['for i in 1; do reboot; done', 'exec reboot'],
  ['! reboot', 'exec reboot'],
  ['time reboot', 'exec reboot'],
  ['coproc reboot', 'exec reboot', 'exec coproc', 'exec.opaque', 'exec.opaque', 'exec.opaque'],
  ['trap reboot EXIT', 'exec trap', 'exec reboot'],
  ['command reboot', 'exec reboot'],
  ['builtin eval reboot', 'exec eval', 'exec.opaque'],
  ['env reboot', 'exec reboot'],
  ["env -S 'reboot now'", 'exec reboot'],
  ['nohup reboot', 'exec reboot'],
  ['timeout 5 reboot', 'exec reboot'],
  ['nice -n 5 reboot', 'exec reboot'],
  ['setsid reboot', 'exec reboot'],
  ['xargs reboot', 'exec reboot'],
  ['echo /etc/shadow | xargs cat', 'exec echo', 'exec cat'],
  ['find /srv/app -exec cat {} \\;', 'exec find', 'exec cat'],
  ['find / -delete', 'exec find', 'exec rm'],
  ['find /srv/app -fprintf /etc/cron.d/x x', 'exec find', 'redirect.write /etc/cron.d/x'],
  [`awk 'BEGIN{system("reboot")}'`, 'exec awk', 'exec.opaque'],
  ["sed '1e reboot' /srv/app/x", 'exec sed', 'exec.opaque'],
  [`perl -e 'system "reboot"'`, 'exec perl', 'exec.opaque'],
  [`python3 -c 'import os; os.system("reboot")'`, 'exec python3', 'exec.opaque'],
  ['git -c core.pager=reboot -C /srv/app log', 'exec git', 'exec.opaque'],
  ['git -c core.sshCommand=reboot fetch', 'exec git', 'exec.opaque'],
  ['git -C /srv/app status --help', 'exec git'],
  ['GIT_EXTERNAL_DIFF=reboot git -C /srv/app status', 'exec git', 'exec.opaque'],
  ['tar -cf /dev/null /srv/app --checkpoint=1 --checkpoint-action=exec=reboot', 'exec tar', 'exec.opaque'],
  ["vi -c ':!reboot' /srv/app/x", 'exec vi', 'exec.opaque'],
  ['less /srv/app/x', 'exec less', 'exec.opaque'],
  ['man -P reboot ls', 'exec man', 'exec.opaque'],
  ['ssh -o ProxyCommand=reboot x', 'exec ssh', 'exec.opaque'],
  ['scp -S reboot x y:', 'exec scp', 'exec.opaque'],
  ['rsync -e reboot x y:', 'exec rsync', 'exec.opaque'],
  ['tcpdump -z reboot -i lo', 'exec tcpdump', 'exec.opaque'],
  ['nmap --script /tmp/x', 'exec nmap', 'exec.opaque'],
  ['zip x y -T -TT reboot', 'exec zip', 'exec.opaque'],
  ['busybox reboot', 'exec reboot'],
  ['busybox sh -c reboot', 'exec reboot'],
  ['LD_PRELOAD=/tmp/x.so uptime', 'exec uptime', 'exec.opaque'],
  ['PATH=/tmp:$PATH uptime', 'exec uptime', 'exec.opaque'],
  ['BASH_ENV=/tmp/x bash -c uptime', 'exec uptime', 'exec.opaque'],
  ['uptime -- ; : $((a[$(reboot)]))', 'exec uptime', 'exec reboot', 'exec :', 'exec.opaque', 'exec.opaque', 'exec.opaque'],
  ['echo ${x:-$(reboot)}', 'exec reboot', 'exec echo', 'exec.opaque'],
  ['uptime # innocent\nreboot', 'exec uptime', 'exec reboot'],
  ['./uptime', 'exec ./uptime'],
  ['/tmp/uptime', 'exec /tmp/uptime'],
  ['../../tmp/uptime', 'exec ../../tmp/uptime', 'exec.opaque'],
  ['sudo -s', 'exec sudo', 'exec.opaque'],
  ['sudo bash', 'exec bash', 'sudo root', 'exec.opaque'],
  ['sudo cat /etc/shadow', 'exec cat', 'sudo root'],
  ['su -c reboot', 'exec reboot', 'sudo root'],
  ['doas reboot', 'exec reboot', 'sudo root'],
  ['sudo -u app LD_PRELOAD=x uptime', 'exec sudo', 'exec.opaque'],
  ['docker run -v /:/host alpine', 'exec docker'],
  ['systemctl status --host=root@evil nginx', 'exec systemctl', 'exec.opaque'],
  ['systemctl status ../../x', 'exec systemctl'],
  ['journalctl -u nginx -n 5 --file=/etc/shadow --no-pager', 'exec journalctl'],
  ['journalctl -u nginx -n 5', 'exec journalctl'],
  ['grep -f /etc/shadow /srv/app/x', 'exec grep'],
  ['grep -r . /etc /srv/app/x', 'exec grep'],
  ['head -n 1 /etc/shadow', 'exec head'],
  ['head -c 100 /srv/app/x', 'exec head'],
  ['sort -o /etc/passwd', 'exec sort'],
  ['sort --compress-program=reboot', 'exec sort', 'exec.opaque'],
  ['date -f /etc/shadow', 'exec date'],
  ['hostname evil', 'exec hostname'],
  ['ss -K', 'exec ss'],
  ['stat -f /srv/app/x', 'exec stat'],
  ['ls -la /srv/app/ /root', 'exec ls'],
  ['uniq -c /etc/shadow', 'exec uniq'],
  ['wc -l --files0-from=/etc/shadow', 'exec wc'],
]

const honest = [
  'uptime', 'hostname', 'whoami', 'id', 'uname -a', 'df -h', 'free -m', 'ps aux', 'ss -ltn', 'date',
  'systemctl status nginx', 'systemctl is-active shop.service', 'systemctl list-units --failed', 'journalctl -u shop -n 200 --no-pager',
  'ls /srv/app', 'ls -la /srv/app/config', 'cat /srv/app/README.md', "cat '/srv/app/a file'", 'tail -n 50 /srv/app/log/production.log', 'head -n 1 /srv/app/VERSION',
  'grep -n timeout /srv/app/config/app.yml', 'grep "connection reset" /var/log/app/error.log', 'wc -l /srv/app/data.csv', 'stat /srv/app/README.md', 'sha256sum /srv/app/app.jar',
  'cat /var/log/app/error.log | sort | uniq -c | head -n 5', 'grep -c ERROR /var/log/app/error.log', 'uptime && df -h', 'uptime; free -m', 'uptime 2>/dev/null',
  'git -C /srv/app status', 'git -C /srv/app rev-parse HEAD', 'LC_ALL=C uptime', 'timeout 5 uptime', 'true || uptime',
]

describe('S6 the starter policy for an AI agent on hosts', () => {
  test('has no errors, and its own tests pass', () => {
    expect(errors).toEqual([])
    expect(runPolicyTests({ documents, descriptors: [sshDescriptor], assumeMissing: true }).filter(({ ok }) => !ok)).toEqual([])
    expect(evasions.length).toBeGreaterThanOrEqual(60)
  })

  test.each(evasions.map(([line, ...effects]) => ({ line, effects })))('denies $line', ({ line, effects }) => {
    const simulation = decide(line)
    expect(effectsOf(simulation)).toEqual(effects)
    expect(simulation.verdict).toBe('deny')
  })

  test.each(honest)('allows %s', (line) => {
    expect(decide(line)).toMatchObject({ verdict: 'allow' })
  })

  test.each(['systemctl restart nginx', 'sudo uptime', 'sudo systemctl reload nginx', 'uptime && systemctl restart nginx', 'rm /srv/app/cache/page.html'])('holds %s', (line) => {
    expect(decide(line)).toMatchObject({ verdict: 'hold' })
  })
})
