"""The whole product, as `jifang demo` runs it: every process real, met only from outside."""
