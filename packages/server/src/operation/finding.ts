import type { operationRoutes, ResponseOf } from '@strongroom/contract';

export type DoctorReport = ResponseOf<Extract<(typeof operationRoutes)[number], { readonly id: 'runDoctor' }>>;
export type Check = DoctorReport['checks'][number];
export type Finding = Pick<Check, 'status' | 'finding'> & { readonly hint?: string };

export const ok = (finding: string): Finding => ({ status: 'ok', finding });
export const amber = (finding: string, hint: string): Finding => ({ status: 'amber', finding, hint });
export const red = (finding: string, hint: string): Finding => ({ status: 'red', finding, hint });
