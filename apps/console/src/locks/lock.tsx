import { Badge, Button, Group, Modal, Stack, Text, Textarea } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { ok, once } from '@sallyport/api-client'
import { IconLock, IconLockOpen } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { api, type Lock, type WhoAmI } from '../api.js'
import { fullTime, visible } from '../format.js'
import { has, operators, readers } from '../roles.js'
import { Failure } from '../shell/message.js'

/** What is locked now. */
export function useLocks(me: WhoAmI): readonly Lock[] {
  const found = useQuery({ queryKey: ['locks'], queryFn: () => ok(api.GET('/v1/locks', { params: { query: { limit: 500 } } })), enabled: has(me, readers), refetchInterval: 10_000 })
  return found.data?.items ?? []
}

/** Whether something is locked, by whom and why; and the button that changes it, for those who may. */
export function LockState({ kind, name, locks, me }: { readonly kind: Lock['kind']; readonly name: string; readonly locks: readonly Lock[]; readonly me: WhoAmI }): ReactNode {
  const standing = locks.find((lock) => lock.kind === kind && lock.name === name)
  const isMine = kind === 'user' && name === me.user
  return (
    <Group gap="xs" wrap="nowrap">
      {standing === undefined ? undefined : (
        <Badge color="red" variant="light" title={`${visible(standing.reason)} (${standing.by}, ${fullTime(standing.created_at)})`}>locked</Badge>
      )}
      {has(me, operators) && !isMine ? standing === undefined ? <Change kind={kind} name={name} /> : <Change kind={kind} name={name} standing={standing} /> : undefined}
    </Group>
  )
}

function Change({ kind, name, standing }: { readonly kind: Lock['kind']; readonly name: string; readonly standing?: Lock }): ReactNode {
  const [isOpen, { open, close }] = useDisclosure(false)
  const [reason, setReason] = useState('')
  const queries = useQueryClient()
  const change = useMutation({
    mutationFn: async () => {
      if (standing === undefined) await ok(api.POST('/v1/locks', { body: { kind, name, reason }, headers: once() }))
      else await ok(api.POST('/v1/locks/{id}/release', { params: { path: { id: standing.id } }, body: { reason } }))
    },
    onSuccess: async () => {
      close()
      setReason('')
      await queries.invalidateQueries({ queryKey: ['locks'] })
    },
  })
  const [verb, Icon] = standing === undefined ? (['Lock', IconLock] as const) : (['Unlock', IconLockOpen] as const)
  return (
    <>
      <Button size="compact-sm" variant="default" leftSection={<Icon size={14} aria-hidden />} onClick={open} aria-label={`${verb} ${name}`}>{verb}</Button>
      <Modal opened={isOpen} onClose={close} title={`${verb} the ${kind} ${name}`} centered closeButtonProps={{ 'aria-label': 'Close' }}>
        <Stack>
          <Text size="sm">
            {standing === undefined
              ? 'Live sessions end within two seconds, and no new ones are opened until somebody unlocks it. Whoever is locked out is not told why.'
              : `Locked by ${standing.by}: ${visible(standing.reason)}`}
          </Text>
          {change.error ? <Failure error={change.error} /> : undefined}
          <Textarea label="Reason" data-autofocus maxLength={500} value={reason} onChange={({ currentTarget }) => setReason(currentTarget.value)} />
          <Group justify="end">
            <Button variant="default" onClick={close}>Leave it</Button>
            <Button color={standing === undefined ? 'red' : 'blue'} disabled={reason.trim().length < 3} loading={change.isPending} onClick={() => change.mutate()}>{standing === undefined ? 'Lock it' : 'Unlock it'}</Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
