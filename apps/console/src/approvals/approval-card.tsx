import { Alert, Anchor, Badge, Button, Card, Checkbox, Divider, Group, Stack, Text, Textarea, Title } from '@mantine/core'
import { useHotkeys } from '@mantine/hooks'
import { ok } from '@sallyport/api-client'
import { IconCheck, IconX } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState, type ReactNode } from 'react'
import { Link } from 'wouter'
import { api, type Approval, type WhoAmI } from '../api.js'
import { fullTime, relative, visible } from '../format.js'
import { Failure, Loading } from '../shell/message.js'
import { Comments } from './comments.js'
import { toneOf } from './tone.js'
import { useNow } from './use-now.js'

/** Who asks, from which run, what exactly, on what, why it is held, what it would touch; and the decision. */
export function ApprovalCard({ id, me }: { readonly id: string; readonly me: WhoAmI }): ReactNode {
  const found = useQuery({ queryKey: ['approval', id], queryFn: () => ok(api.GET('/v1/approvals/{id}', { params: { path: { id } } })) })
  if (found.error) return <Failure error={found.error} />
  if (!found.data) return <Loading />
  return <Shown item={found.data} me={me} />
}

function Shown({ item, me }: { readonly item: Approval; readonly me: WhoAmI }): ReactNode {
  const now = useNow()
  const groupsAsked = [...item.requirements.flatMap(({ groups }) => groups), ...(item.escalated_groups ?? [])]
  const asked = groupsAsked.some((group) => me.groups.includes(group))
  return (
    <Card withBorder component="article" aria-label="Approval">
      <Stack gap="md">
        <Group justify="space-between" align="start">
          <div>
            <Title order={2} size="h3">
              {item.identity.kind} {item.identity.name} on {item.target}
            </Title>
            <Text c="dimmed" size="sm" title={`${item.created_at} (UTC)`}>
              asked {fullTime(item.created_at)}
              {item.state === 'pending' ? `, expires ${relative(item.expires_at, now)}` : ''}
            </Text>
          </div>
          <Badge size="lg" variant="light" color={toneOf(item.state)}>{item.state}</Badge>
        </Group>
        <section aria-label="Command">
          <pre className="command" tabIndex={0}>{item.text_visible}</pre>
          {item.parameters_visible?.map((value, index) => (
            <Text key={index} size="sm" ff="monospace" mt={4}>
              ${index + 1} = {value ?? 'NULL'}
            </Text>
          ))}
        </section>
        <section aria-label="Effects">
          <Text fw={600} mb={4}>It would</Text>
          <Stack gap={4}>
            {item.effects.filter((effect) => effect.harmless !== true).map((effect, index) => (
              <Group key={index} gap="xs" wrap="nowrap" align="start">
                <Badge variant="default" tt="none" ff="monospace" fw={500} style={{ flexShrink: 0 }}>{effect.action}</Badge>
                <Text size="sm" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
                  {visible(effect.resource)}
                  {effect.implied === true ? ' (follows from it)' : ''}
                  {Object.entries(effect.details ?? {}).flatMap(([name, value]) => (value === true ? [` · ${name.replaceAll('_', ' ')}`] : [])).join('')}
                </Text>
              </Group>
            ))}
          </Stack>
        </section>
        <Divider />
        <dl className="facts">
          <dt>Held by</dt>
          <dd>{item.requirements.map(({ rule, groups, quorum }) => `${rule}: ${quorum} of ${groups.join(', ')}`).join('; ')}</dd>
          {item.ci?.repository === undefined ? undefined : (<><dt>Repository</dt><dd>{visible(item.ci.repository)} {visible(item.ci.ref ?? '')}</dd></>)}
          {item.ci?.commit === undefined ? undefined : (<><dt>Commit</dt><dd><code>{visible(item.ci.commit)}</code></dd></>)}
          {item.ci?.actor === undefined ? undefined : (<><dt>Started by</dt><dd>{visible(item.ci.actor)}</dd></>)}
          {item.ci?.run_url === undefined ? undefined : (<><dt>Run</dt><dd><Run url={item.ci.run_url} /></dd></>)}
          <dt>Session</dt>
          <dd><Anchor component={Link} href={`/sessions/${item.session_id}`}>{item.session_id}</Anchor>, command {item.command_id}</dd>
          <dt>Digest</dt>
          <dd><code>{item.digest.slice(0, 32)}…</code></dd>
        </dl>
        {item.votes.length > 0 ? (
          <section aria-label="Votes">
            {item.votes.map((vote) => (
              <Text key={vote.user} size="sm">
                {vote.user} {vote.verdict === 'approve' ? 'approved' : 'rejected'}
                {vote.reason === undefined ? '' : `: ${visible(vote.reason)}`}
              </Text>
            ))}
          </section>
        ) : undefined}
        {item.remembered === undefined ? undefined : (
          <Text size="sm">It stands for {item.remembered.scope === 'session' ? 'what else the same rules hold in this session' : 'exactly this command'} until {fullTime(item.remembered.expires_at)}; used {item.remembered.uses} times.</Text>
        )}
        {item.rests_on === undefined ? undefined : (<Text size="sm">Decided by an <Anchor component={Link} href={`/approvals/${item.rests_on}`}>earlier approval</Anchor> that stands for it.</Text>)}
        {item.state === 'pending' && asked ? <Decide item={item} /> : undefined}
        {item.state === 'pending' && !asked ? <Alert variant="light" color="gray">You may look at it; {groupsAsked.join(', ')} decide.</Alert> : undefined}
        {item.state !== 'pending' && item.reason !== undefined && item.reason !== '' ? <Text size="sm" c="dimmed">{visible(item.reason)}</Text> : undefined}
        <Divider />
        <Comments id={item.id} />
      </Stack>
    </Card>
  )
}

/** Only https leads anywhere: the address comes from a token's claims. */
function Run({ url }: { readonly url: string }): ReactNode {
  return URL.parse(url)?.protocol === 'https:' ? <Anchor href={url} target="_blank" rel="noreferrer noopener">{visible(url)}</Anchor> : visible(url)
}

function Decide({ item }: { readonly item: Approval }): ReactNode {
  const { id, remember } = item
  const [stands, setStands] = useState(false)
  const [reason, setReason] = useState('')
  const field = useRef<HTMLTextAreaElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const queries = useQueryClient()
  const decide = useMutation({
    mutationFn: (verdict: 'approve' | 'reject') =>
      verdict === 'approve'
        ? ok(api.POST('/v1/approvals/{id}/approve', { params: { path: { id } }, body: { ...(reason === '' ? {} : { reason }), ...(stands ? { remember: true } : {}) } }))
        : ok(api.POST('/v1/approvals/{id}/reject', { params: { path: { id } }, body: { reason } })),
    onSettled: async () => {
      await queries.invalidateQueries({ queryKey: ['approval', id] })
      await queries.invalidateQueries({ queryKey: ['approvals'] })
    },
  })
  const reject = (): void => {
    if (reason.trim() === '') field.current?.focus()
    else decide.mutate('reject')
  }
  // A key alone decides nothing: Enter does, on what has the focus then.
  useHotkeys([['a', () => button.current?.focus()], ['r', () => field.current?.focus()]])
  return (
    <Stack gap="sm">
      {decide.error ? <Failure error={decide.error} /> : undefined}
      <Textarea ref={field} label="Reason" description="Needed to reject. Whoever asked, and the audit log, get it." autosize minRows={1} maxLength={1000} value={reason} onChange={({ currentTarget }) => setReason(currentTarget.value)} />
      {remember === undefined ? undefined : (
        <Checkbox
          checked={stands}
          onChange={({ currentTarget }) => setStands(currentTarget.checked)}
          label={`Let it stand for ${Math.round(remember.for_seconds / 60)} minutes`}
          description={remember.scope === 'session' ? 'For what else the same rules hold in this session.' : 'For exactly this command, in any session of this identity.'}
        />
      )}
      <Group>
        <Button ref={button} leftSection={<IconCheck size={16} />} loading={decide.isPending && decide.variables === 'approve'} disabled={decide.isPending} onClick={() => decide.mutate('approve')}>Approve</Button>
        <Button variant="default" leftSection={<IconX size={16} />} loading={decide.isPending && decide.variables === 'reject'} disabled={decide.isPending} onClick={reject}>Reject</Button>
      </Group>
    </Stack>
  )
}
