// One certificate for all simulated nodes. Its key is public: it opens nothing anywhere else.
import Cluster

package enum SimulatedIdentity {
    package static let shared = TLSIdentity(certificate: certificate, key: key, authority: authority)

    private static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgplIFH5vkliP0qi+Y
        UQ/BGYb3Gws7kK+kTdAOVa/w8TWhRANCAAQSU0QknMEoJAkzYLQO9rD6HtRP0qXa
        rh5u29FEbMb2lDfwUImvROoMiHmuz31mnOxuAtwLo81s2m88/VVsc2/Z
        -----END PRIVATE KEY-----
        """
    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBpjCCAUygAwIBAgIBAjAKBggqhkjOPQQDAjAXMRUwEwYDVQQDDAxzaW11bGF0
        ZWQtY2EwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNV
        BAMMCXNpbXVsYXRlZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBJTRCScwSgk
        CTNgtA72sPoe1E/SpdquHm7b0URsxvaUN/BQia9E6gyIea7PfWac7G4C3AujzWza
        bzz9VWxzb9mjgYkwgYYwJQYDVR0RBB4wHIICbjGCAm4yggJuM4ICbjSCAm41ggJu
        NoICbjcwHQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsGAQUFBwMCMB0GA1UdDgQWBBSm
        NFtL16zv9zSkaAGyg0U9uPk7nTAfBgNVHSMEGDAWgBRqhgxU+jrc/70a/bKblIq2
        s8yMRjAKBggqhkjOPQQDAgNIADBFAiBwsiiJwj49tvTkvfp9TXf3uhZqAm5F0pK1
        j7E1mvLkEQIhAJFMG9/ohSRV6NLA73ORkyRb7SJtjfMYCdF1XC7H+BXD
        -----END CERTIFICATE-----
        """
    private static let authority = """
        -----BEGIN CERTIFICATE-----
        MIIBUTCB96ADAgECAgEBMAoGCCqGSM49BAMCMBcxFTATBgNVBAMMDHNpbXVsYXRl
        ZC1jYTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFzEVMBMGA1UE
        AwwMc2ltdWxhdGVkLWNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAofCNYnS
        qckCKFm19IoeYT2xHYurh77y+wn9wtVFcGpeyQTMLKWBr3hlGLJLYCXIZ25N3MUI
        UP5gMZ8sQ3SPvqMyMDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUaoYMVPo6
        3P+9Gv2ym5SKtrPMjEYwCgYIKoZIzj0EAwIDSQAwRgIhAJH0EKkciDuw6WaMC5x/
        bYc2wFHERG1Ln0M+hYUPPkE/AiEAgpGJ/nZ/o//fgpZWX4g9bF5hJKn0CL76Vy2z
        w+Vl/3Q=
        -----END CERTIFICATE-----
        """
}
