#include "agent.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTERFACE "eth0"

static struct sockaddr *ipv4(struct sockaddr *place, in_addr_t address)
{
    struct sockaddr_in *internet = (struct sockaddr_in *)place;
    memset(place, 0, sizeof *place);
    internet->sin_family = AF_INET;
    internet->sin_addr.s_addr = address;
    return place;
}

static void bring_up(int control, const char *name)
{
    struct ifreq request = {0};
    strcpy(request.ifr_name, name);
    ioctl(control, SIOCGIFFLAGS, &request);
    request.ifr_flags |= IFF_UP;
    ioctl(control, SIOCSIFFLAGS, &request);
}

/* `text` is ADDRESS/LENGTH. */
static void set_address(int control, char *text)
{
    struct ifreq request = {0};
    char *length = strchr(text, '/');
    int bits = length ? atoi(length + 1) : 24;
    if (length)
        *length = 0;
    strcpy(request.ifr_name, INTERFACE);
    ipv4(&request.ifr_addr, inet_addr(text));
    ioctl(control, SIOCSIFADDR, &request);
    ipv4(&request.ifr_netmask, htonl(bits ? ~0u << (32 - bits) : 0));
    ioctl(control, SIOCSIFNETMASK, &request);
}

static void set_gateway(int control, const char *text)
{
    struct rtentry route = {0};
    ipv4(&route.rt_dst, 0);
    ipv4(&route.rt_genmask, 0);
    ipv4(&route.rt_gateway, inet_addr(text));
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    ioctl(control, SIOCADDRT, &route);
}

static void write_resolver(const char *nameservers)
{
    write_file(STATE "/resolv.conf", nameservers, 0644);
}

void set_up_network(void)
{
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char *text = seed_text("network"), *rest = text, address[64] = "", gateway[64] = "", nameservers[512] = "";
    bring_up(control, "lo");
    for (char *line; text && (line = strsep(&rest, "\n"));) {
        char value[64];
        size_t used = strlen(nameservers);
        if (sscanf(line, "address %63s", value) == 1)
            strcpy(address, value);
        else if (sscanf(line, "gateway %63s", value) == 1)
            strcpy(gateway, value);
        else if (sscanf(line, "nameserver %63s", value) == 1)
            snprintf(nameservers + used, sizeof nameservers - used, "nameserver %s\n", value);
    }
    if (*address) {
        set_address(control, address);
        bring_up(control, INTERFACE);
    }
    if (*gateway)
        set_gateway(control, gateway);
    write_resolver(nameservers);
    close(control);
    free(text);
}
