import { Anchor, Badge, Card, Code, Group, SegmentedControl, Stack, Table, TextInput, Title } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { given, ok } from '@sallyport/api-client'
import { useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Link } from 'wouter'
import { api } from '../api.js'
import { useNow } from '../approvals/use-now.js'
import { fullTime, relative, visible } from '../format.js'
import { Empty, Failure, Loading } from '../shell/message.js'

export const sessionTone = (state: string): string => (state === 'live' ? 'green' : state === 'killed' ? 'red' : 'gray')

/** Sessions, the newest first; live ones come and go by themselves. */
export function SessionsRoom(): ReactNode {
  const [state, setState] = useState<'all' | 'live' | 'ended'>('all')
  const [who, setWho] = useState('')
  const [target, setTarget] = useState('')
  const [asked] = useDebouncedValue({ who, target }, 250)
  const now = useNow()
  const list = useQuery({
    queryKey: ['sessions', state, asked],
    queryFn: () =>
      ok(api.GET('/v1/sessions', { params: { query: given({ state: state === 'all' ? undefined : state, identity: asked.who.trim() || undefined, target: asked.target.trim() || undefined, limit: 100 }) } })),
    refetchInterval: 3_000,
  })
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={1} size="h2">Sessions</Title>
        <Group gap="sm">
          <TextInput aria-label="Who" placeholder="Who" value={who} onChange={({ currentTarget }) => setWho(currentTarget.value)} w={140} />
          <TextInput aria-label="Target" placeholder="Target" value={target} onChange={({ currentTarget }) => setTarget(currentTarget.value)} w={140} />
          <SegmentedControl aria-label="Which sessions" value={state} onChange={(value) => setState(value === 'live' || value === 'ended' ? value : 'all')} data={[{ value: 'all', label: 'All' }, { value: 'live', label: 'Live' }, { value: 'ended', label: 'Ended' }]} />
        </Group>
      </Group>
      {list.error ? <Failure error={list.error} /> : undefined}
      {list.isPending ? <Loading /> : undefined}
      {list.data?.items.length === 0 ? (
        <Empty title="No session fits.">
          A session is one connection of a client to one target: <Code>sallyport exec orders-db -- psql</Code>
        </Empty>
      ) : undefined}
      {list.data && list.data.items.length > 0 ? (
        <Card withBorder p={0}>
          <Table.ScrollContainer minWidth={640}>
            <Table verticalSpacing="sm" horizontalSpacing="md" highlightOnHover>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Session</Table.Th><Table.Th>Who</Table.Th><Table.Th>Target</Table.Th><Table.Th>Commands</Table.Th><Table.Th>Began</Table.Th><Table.Th>End</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {list.data.items.map((session) => (
                  <Table.Tr key={session.id}>
                    <Table.Td>
                      <Group gap="xs" wrap="nowrap">
                        <Badge variant="light" color={sessionTone(session.state)}>{session.state}</Badge>
                        <Anchor component={Link} href={`/sessions/${session.id}`} ff="monospace" size="sm">…{session.id.slice(-12)}</Anchor>
                      </Group>
                    </Table.Td>
                    <Table.Td>{session.identity.name}{session.actor === null || session.actor === session.identity.name ? '' : ` (${visible(session.actor)})`}</Table.Td>
                    <Table.Td>{session.target}</Table.Td>
                    <Table.Td>{session.commands}</Table.Td>
                    <Table.Td title={fullTime(session.created_at)}>{relative(session.created_at, now)}</Table.Td>
                    <Table.Td>{visible(session.end_reason ?? '')}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Card>
      ) : undefined}
    </Stack>
  )
}
