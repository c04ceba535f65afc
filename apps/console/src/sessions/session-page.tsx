import { Anchor, Badge, Button, Card, Group, Modal, Stack, Text, Textarea, Title } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { asStream, ok, readEvents } from '@sallyport/api-client'
import { IconPlayerStop } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState, type ReactNode } from 'react'
import { Link } from 'wouter'
import { api, type Session, type WhoAmI } from '../api.js'
import { fullTime, visible } from '../format.js'
import { has, operators } from '../roles.js'
import { Failure, Loading } from '../shell/message.js'
import { Recording } from './recording.js'
import { sessionTone } from './sessions-room.js'
import { Timeline, type Told } from './timeline.js'

/** One session: who, where, and everything that happened in it, while it happens. */
export function SessionPage({ id, me }: { readonly id: string; readonly me: WhoAmI }): ReactNode {
  const found = useQuery({ queryKey: ['session', id], queryFn: () => ok(api.GET('/v1/sessions/{id}', { params: { path: { id } } })), refetchInterval: ({ state }) => (state.data?.state === 'live' ? 1_500 : false) })
  if (found.error) return <Failure error={found.error} />
  if (!found.data) return <Loading />
  return <Shown session={found.data} me={me} />
}

function Shown({ session, me }: { readonly session: Session; readonly me: WhoAmI }): ReactNode {
  const { told, error } = useWatch(session.id)
  return (
    <Stack gap="md">
      <Group justify="space-between" align="start">
        <div>
          <Anchor component={Link} href="/sessions" size="sm">Sessions</Anchor>
          <Title order={1} size="h2">{session.identity.name} on {session.target}</Title>
        </div>
        <Group gap="sm">
          <Badge size="lg" variant="light" color={sessionTone(session.state)}>{session.state}</Badge>
          {session.state === 'live' && has(me, operators) ? <Cut id={session.id} /> : undefined}
        </Group>
      </Group>
      <Card withBorder component="section" aria-label="Facts">
        <dl className="facts">
          <dt>Began</dt><dd>{fullTime(session.created_at)}</dd>
          {session.ended_at === null ? undefined : (<><dt>Ended</dt><dd>{fullTime(session.ended_at)} ({visible(session.end_reason ?? '')})</dd></>)}
          <dt>Protocol</dt><dd>{session.protocol}</dd>
          <dt>Client</dt><dd>{visible(session.client_address)}</dd>
          {session.actor === null ? undefined : (<><dt>Started by</dt><dd>{visible(session.actor)}</dd></>)}
          {['repository', 'ref', 'run_id'].flatMap((name) => {
            const value = session.claims[name]
            return typeof value === 'string' ? [<dt key={name}>{name}</dt>, <dd key={`${name}-value`}>{visible(value)}</dd>] : []
          })}
          <dt>Session</dt><dd><code>{session.id}</code></dd>
        </dl>
      </Card>
      {session.protocol === 'postgres' ? undefined : <Recording id={session.id} />}
      <Card withBorder component="section" aria-label="Timeline">
        <Stack gap="md">
          <Group justify="space-between"><Text fw={600}>Timeline</Text><Text size="xs" c="dimmed">That you look is on record.</Text></Group>
          {error === undefined ? undefined : <Failure error={error} />}
          <Timeline told={told} />
        </Stack>
      </Card>
    </Stack>
  )
}

/** The session's events from its beginning, and those that come, until it ends. */
function useWatch(id: string): { readonly told: readonly Told[]; readonly error: unknown } {
  const [told, setTold] = useState<readonly Told[]>([])
  const [error, setError] = useState<unknown>()
  const queries = useQueryClient()
  useEffect(() => {
    const abort = new AbortController()
    setTold([])
    const watch = async (): Promise<void> => {
      let cursor = ''
      for (let over = false; !over; ) {
        const call = api.GET('/v1/sessions/{id}/watch', { params: { path: { id }, query: cursor === '' ? {} : { cursor } }, ...asStream(abort.signal) })
        for await (const { event, data, id: position } of readEvents(call)) {
          if (event === 'end') over = true
          else {
            cursor = position
            const one: Told = JSON.parse(data)
            setTold((before) => [...before, one])
          }
        }
      }
      await queries.invalidateQueries({ queryKey: ['session', id] })
    }
    watch().catch((failure: unknown) => {
      if (!abort.signal.aborted) setError(failure)
    })
    return () => abort.abort()
  }, [id, queries])
  return { told, error }
}

function Cut({ id }: { readonly id: string }): ReactNode {
  const [isOpen, { open, close }] = useDisclosure(false)
  const [reason, setReason] = useState('')
  const queries = useQueryClient()
  const cut = useMutation({
    mutationFn: () => ok(api.POST('/v1/sessions/{id}/kill', { params: { path: { id } }, body: { reason } })),
    onSuccess: async () => {
      close()
      await queries.invalidateQueries({ queryKey: ['session', id] })
    },
  })
  return (
    <>
      <Button color="red" variant="light" leftSection={<IconPlayerStop size={16} />} onClick={open}>Cut</Button>
      <Modal opened={isOpen} onClose={close} title="Cut this session" centered closeButtonProps={{ 'aria-label': 'Close' }}>
        <Stack>
          <Text size="sm">Its connection ends now, and what is running is cancelled. The client and the audit log get the reason.</Text>
          {cut.error ? <Failure error={cut.error} /> : undefined}
          <Textarea label="Reason" data-autofocus maxLength={300} value={reason} onChange={({ currentTarget }) => setReason(currentTarget.value)} />
          <Group justify="end">
            <Button variant="default" onClick={close}>Leave it</Button>
            <Button color="red" disabled={reason.trim() === ''} loading={cut.isPending} onClick={() => cut.mutate()}>Cut the session</Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
