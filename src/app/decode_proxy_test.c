#include "app/decode_proxy.h"
#include "base/test.h"

#include <errno.h>
#include <stdlib.h>

#define MTLS                                                                                     \
    "0d0a0d0a000d0a515549540a2111002c7f0000017f000001cee6521020001d0700000000210007544c5376312e" \
    "3322000b73656e736f722d30303432"

static void decodes(void **state)
{
    static const struct {
        const char *hex;
        int result;
        const char *text;
    } cases[] = {
        {MTLS "1010",                                        0,
         "version: 2\ncommand: PROXY\nsource: 127.0.0.1 port 52966\n"
         "destination: 127.0.0.1 port 21008\nclient's TLS: yes\n"
         "client's certificate: verified\nname for use_identity_as_username: the common name\n"
         "common name: sensor-0042\nTLS version: TLSv1.3\n"
         "header: 60 bytes; behind it: 2 bytes of the client\n"                                                     },
        {"0D:0A:0D:0A:00:0D:0A:51 55 49 54 0A\n20 00 00 00", 0,
         "version: 2\ncommand: LOCAL\nsource: not told; the connection's own addresses hold\n"
         "header: 16 bytes; behind it: 0 bytes of the client\n"                                                     },
        {"10100004",                                         1,       "refused: signature (at byte 1 of 4)\n"       },
        {"0d0a0d0a",                                         1,       "not whole: 4 bytes, and the header goes on\n"},
        {"",                                                 1,       "not whole: 0 bytes, and the header goes on\n"},
        {"0d0",                                              -EINVAL, ""                                            },
        {"0 d",                                              -EINVAL, ""                                            },
        {"0g",                                               -EINVAL, ""                                            },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        assert_non_null(out);
        assert_int_equal(decode_proxy(cases[i].hex, out), cases[i].result);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static void survives_the_lack_of_memory(void **state)
{
    FILE *out = fopen("/dev/null", "w");
    int r = -ENOMEM;

    (void)state;
    assert_non_null(out);
    for (unsigned long n = 1; r == -ENOMEM; n++) {
        memory_fail_after(n);
        r = decode_proxy(MTLS, out);
    }
    memory_fail_after(0);
    assert_int_equal(r, 0);
    fclose(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes),
        cmocka_unit_test(survives_the_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
