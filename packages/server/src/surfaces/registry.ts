import { sparkJobSurface } from './spark-job/definition.ts';

/** Every surface there is, one line each. */
export const surfaces = {
  'spark-job': sparkJobSurface,
} as const;

export type SurfaceType = keyof typeof surfaces;

export function isSurfaceType(text: string): text is SurfaceType {
  return Object.hasOwn(surfaces, text);
}
